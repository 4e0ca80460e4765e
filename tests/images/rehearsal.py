"""What a Dockerfile does, done in a folder: its paths lead there, and who the user is stays as it is."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.unit.docker.dockerfile import Instruction, Stage, stages
from tests.unit.structure.source import ROOT

# What the Dockerfiles write to. Anything else of the system's is left alone.
OWN_PATHS = re.compile(r"(?<![\w.])/(?=(opt/tokenmill|src|models|var/lib/tokenmill|var/cache/tokenmill)\b)")
OF_THE_SYSTEM = ("groupadd",)


class Rehearsal:
    """One stage. Its files are under ``folder``, a stand-in for the image's root."""

    def __init__(self, folder: Path, built: Mapping[str, Path], arguments: Mapping[str, str]) -> None:
        self._folder = folder
        self._built = built
        self._arguments = arguments
        self._directory = folder
        # Python as it comes with the base image: nothing installed, no settings of the caller's.
        kept = {
            name: os.environ[name] for name in os.environ if not re.match("PYTHON|VIRTUAL|TOKENMILL", name)
        }
        self.environment = kept | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def perform(self, instructions: Iterable[Instruction]) -> None:
        for each in instructions:
            step = getattr(self, f"_{each.keyword.lower()}", None)
            if step is not None:
                step(each.arguments)

    def there(self, path: str) -> str:
        """Where a path of the image is here."""
        return OWN_PATHS.sub(f"{self._folder}/", path)

    def _arg(self, argument: str) -> None:
        name, _, default = argument.partition("=")
        self.environment[name] = self._arguments.get(name, default)

    def _env(self, pairs: str) -> None:
        for name, value in re.findall(r"([A-Z_]+)=(\S+)", pairs):
            self.environment[name] = self.there(value).replace("$PATH", self.environment["PATH"])

    def _workdir(self, path: str) -> None:
        self._directory = Path(self.there(path))
        self._directory.mkdir(parents=True, exist_ok=True)

    def _copy(self, operands: str) -> None:
        parts = operands.split()
        origin = ROOT
        if parts[0].startswith("--from="):
            origin = self._built[parts.pop(0).removeprefix("--from=")]
        *sources, target = parts
        for source in sources:
            self._copy_one(origin / source.lstrip("/"), Path(self._directory, self.there(target)))

    def _copy_one(self, source: Path, target: Path) -> None:
        if source.is_dir():
            caches = shutil.ignore_patterns("__pycache__") if source.is_relative_to(ROOT) else None
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=caches)
        else:
            shutil.copy(source, target)

    def _run(self, command: str) -> None:
        if command.startswith(OF_THE_SYSTEM):
            return
        subprocess.run(
            ["sh", "-euc", self.there(command)], cwd=self._directory, env=self.environment, check=True
        )


def rehearse(dockerfile: Path, folder: Path, arguments: Mapping[str, str]) -> Rehearsal:
    """All stages; the last one's environment is that of a container.

    A virtual environment can't be moved, so all stages have the same root: what a later one would copy from
    an earlier one is where it belongs, which is what ``COPY --from`` is for.
    """
    *earlier, last = stages(dockerfile)
    for stage in earlier:
        Rehearsal(folder, {}, arguments).perform(stage.instructions)
    image = Rehearsal(folder, {stage.name: folder for stage in earlier}, arguments)
    for volume in ("var/lib/tokenmill", "var/cache/tokenmill"):
        (folder / volume).mkdir(parents=True)
    image.perform(_without_copies_in_place(last))
    return image


def _without_copies_in_place(stage: Stage) -> list[Instruction]:
    """A copy from a path to the same one has nothing to do here."""
    return [
        each
        for each in stage.instructions
        if not (each.keyword == "COPY" and each.arguments.split()[-1] == each.arguments.split()[-2])
    ]
