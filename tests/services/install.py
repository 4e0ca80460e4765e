"""Installing a service's package where the machine lacks it."""

import os
import shutil
import subprocess

from tests.services.errors import ServiceMissing

# The package would start a system service of its own; policy-rc.d is Debian's way of saying no.
INSTALL_SCRIPT = """
set -eu
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\\nexit 101\\n' > "$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
install() { apt-get -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends "$1"; }
install "$1" || { apt-get update; install "$1"; }
"""


def install(package: str, *, variable: str | None = None) -> None:
    """Install a Debian package. Raises ServiceMissing, which says what to do, where that is not possible."""
    root = _as_root()
    if root is None or shutil.which("apt-get") is None:
        raise ServiceMissing(_advice(package, variable, "there is no apt-get, or no right to run it"))
    print(f"Installing {package}; its system service stays off.", flush=True)
    done = subprocess.run(
        [*root, "sh", "-c", INSTALL_SCRIPT, "install", package],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServiceMissing(_advice(package, variable, f"apt-get failed:\n{done.stdout[-2000:]}"))


def _as_root() -> list[str] | None:
    """What to put before a command that needs root; None where root is out of reach without a password."""
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "--non-interactive"]
    if (
        shutil.which("sudo")
        and subprocess.run([*sudo, "true"], capture_output=True, check=False).returncode == 0
    ):
        return sudo
    return None


def _advice(package: str, variable: str | None, reason: str) -> str:
    instead = f", or set {variable} to the URL of a running server," if variable else ""
    return (
        f"The tests need {package}, and it could not be installed: {reason}.\n"
        f"Install it (on Debian or Ubuntu: sudo apt-get install {package}){instead} and run the tests again."
    )
