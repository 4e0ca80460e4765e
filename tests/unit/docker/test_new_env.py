"""The script that makes secrets."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import SecretStr

from tasks.settings import Settings
from tests.unit.docker.compose import DOCKER


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", folder / "new-env.sh"], capture_output=True, text=True, cwd="/", check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("new-env.sh", ".env.example"):
        shutil.copy(DOCKER / name, tmp_path / name)
    return tmp_path


def read(path: Path) -> dict[str, str]:
    """As compose reads it: a value in quotes may go over several lines."""
    pairs = re.findall(r'^([A-Z_]+)=("[^"]*"|.*)$', path.read_text(), re.MULTILINE)
    return {name: value.strip('"') for name, value in pairs}


def test_every_secret_of_ours_is_made_and_works(folder: Path) -> None:
    assert run(folder).returncode == 0
    made = read(folder / ".env")
    passwords = [value for name, value in made.items() if name.endswith("_PASSWORD")]
    assert len(passwords) == 5 == len(set(passwords))
    assert all(re.match(r"^[0-9a-f]{48}$", password) for password in passwords)
    assert len(Settings(encryption_keys=SecretStr(made["TOKENMILL_ENCRYPTION_KEYS"])).secret_keys()) == 1
    key = load_pem_private_key(made["TOKENMILL_RECEIPT_KEY"].encode(), password=None)
    assert isinstance(key, Ed25519PrivateKey)


def test_secrets_of_others_are_left_to_the_operator(folder: Path) -> None:
    run(folder)
    assert {value for name, value in read(folder / ".env").items() if name.startswith("ALERT_")} == {""}


def test_nobody_else_can_read_it(folder: Path) -> None:
    run(folder)
    assert (folder / ".env").stat().st_mode & 0o077 == 0


def test_what_is_there_stays(folder: Path) -> None:
    (folder / ".env").write_text("POSTGRES_PASSWORD=mine\n")
    done = run(folder)
    assert done.returncode == 1
    assert "stays as it is" in done.stderr
    assert (folder / ".env").read_text() == "POSTGRES_PASSWORD=mine\n"


def test_without_openssl_nothing_half_made_is_left_as_the_environment(folder: Path) -> None:
    (folder / "bin").mkdir()
    for name in ("dirname", "tr", "mv"):
        (folder / "bin" / name).symlink_to(shutil.which(name) or "")
    environment = os.environ | {"PATH": str(folder / "bin")}
    done = subprocess.run(
        ["/bin/sh", folder / "new-env.sh"], env=environment, capture_output=True, check=False
    )
    assert done.returncode != 0
    assert not (folder / ".env").exists()
