"""The code as it was before the newest migration, out of the repository's history."""

import subprocess
from pathlib import Path

from tests.services.platform import REPOSITORY

VERSIONS = "migrations/versions"
PARTS = ("web", "tasks", "inference", "migrations", "celeryconfig.py")


NEEDED = "The code of the previous release is missing; it takes a git clone with its history."


class HistoryMissing(Exception):
    """The previous release's code is not to be had."""


def unpack_previous_release(folder: Path) -> frozenset[str]:
    """Put its code into a folder; returns the names of the migrations that it lacks.

    Raises HistoryMissing.
    """
    ours = frozenset(path.name for path in (REPOSITORY / VERSIONS).glob("*.py"))
    commit, theirs = _newest_without_all(ours)
    archive = _git("archive", "--format=tar", commit, "--", *PARTS)
    subprocess.run(["tar", "--extract", "--directory", str(folder)], input=archive, check=True)
    return ours - theirs


def _newest_without_all(ours: frozenset[str]) -> tuple[str, frozenset[str]]:
    """The commit that lacks the fewest of our migrations, but some, and has none that we lack.

    Branches number their migrations anew when they are merged, so not every ancestor is one that was
    ever migrated from.
    """
    candidates = {commit: _migrations(commit) for commit in ["HEAD", *_before_additions()]}
    releases = {commit: names for commit, names in candidates.items() if names < ours}
    if not releases:
        raise HistoryMissing(NEEDED)
    # The first of equals is the newest: git lists them so.
    commit = max(releases, key=lambda commit: len(releases[commit]))
    return commit, releases[commit]


def _before_additions() -> list[str]:
    """Parents of the commits that added migrations, newest first."""
    listed = _git(
        *("log", "--full-history", "-m", "--no-renames", "--diff-filter=A", "--format=%P", "HEAD", "--"),
        VERSIONS,
    )
    return listed.decode().split()


def _migrations(commit: str) -> frozenset[str]:
    names = _git("ls-tree", "--name-only", f"{commit}:{VERSIONS}").decode().split()
    return frozenset(name for name in names if name.endswith(".py"))


def _git(*arguments: str) -> bytes:
    # In a container the clone may be another user's.
    command = ["git", "-C", str(REPOSITORY), "-c", "safe.directory=*", *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout
    except FileNotFoundError as error:
        raise HistoryMissing(f"{NEEDED} There is no git here.") from error
    except subprocess.CalledProcessError as error:
        raise HistoryMissing(f"{NEEDED} {error.stderr.decode().strip()}") from error
