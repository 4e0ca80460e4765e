"""The images' recipes: pinned, without root, and of the parts that are there."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tasks.settings import Settings
from tests.unit.docker.dockerfile import DOCKERFILES, Stage, stages, variables
from tests.unit.structure.source import ROOT
from web.app import create_app
from web.cli import cli

EXACT_BASE = re.compile(r"^python:3\.\d+\.\d+-slim-bookworm$")
images = pytest.mark.parametrize("image", sorted(DOCKERFILES))


def final(image: str) -> Stage:
    return stages(DOCKERFILES[image])[-1]


def health_command(image: str) -> list[str]:
    (check,) = final(image).all("HEALTHCHECK")
    command: list[str] = json.loads(check.partition(" CMD ")[2])
    return command


@images
def test_hadolint_has_nothing_to_say(image: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--no-color", DOCKERFILES[image]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@images
def test_stages_are_built_on_one_exact_version(image: str) -> None:
    bases = {stage.base for stage in stages(DOCKERFILES[image])}
    assert len(bases) == 1
    assert all(EXACT_BASE.match(base) for base in bases)


def test_both_images_are_built_on_the_same() -> None:
    assert final("web").base == final("worker").base


@images
def test_the_image_runs_without_root(image: str) -> None:
    (user,) = final(image).all("USER")
    assert re.match(r"^[1-9]\d*:[1-9]\d*$", user)
    assert f"--uid {user.partition(':')[0]}" in final(image).all("RUN")[0]


def test_volumes_belong_to_the_same_user_in_both_images() -> None:
    assert final("web").all("USER") == final("worker").all("USER")


@images
def test_what_is_installed_is_pinned(image: str) -> None:
    """By a lock, or held to one: pip would take the newest of anything else."""
    for stage in stages(DOCKERFILES[image]):
        for line in stage.all("RUN"):
            for command in re.findall(r"pip install [^&]*", line):
                ours = "--no-deps" in command and command.split()[-1] == "."
                assert ours or "--requirement" in command or "--constraint requirements.lock" in command


@images
def test_what_is_copied_exists_and_is_not_ignored(image: str) -> None:
    ignored = set((ROOT / ".dockerignore").read_text().split())
    for stage in stages(DOCKERFILES[image]):
        for line in stage.all("COPY"):
            if not line.startswith("--from="):
                sources = line.split()[:-1]
                assert [name for name in sources if not (ROOT / name).exists() or name in ignored] == []


def test_both_images_hold_every_package() -> None:
    for image in DOCKERFILES:
        copied = {line.split()[-1] for line in stages(DOCKERFILES[image])[0].all("COPY")}
        assert {"inference", "migrations", "tasks", "web"} <= copied


def test_the_web_image_installs_no_torch() -> None:
    lock = (ROOT / "requirements-web.lock").read_text()
    assert "requirements-web.lock" in DOCKERFILES["web"].read_text()
    assert not re.search(r"^(torch|bitsandbytes|accelerate)==", lock, re.MULTILINE)


@images
def test_variables_are_settings_or_known_to_python_and_drivers(image: str) -> None:
    alias = Settings.model_config["alias_generator"]
    assert callable(alias)
    known = {str(alias(name)) for name in Settings.model_fields}
    strangers = set(variables(final(image))) - known
    assert strangers <= {
        "PATH",
        "PYTHONUNBUFFERED",
        "PYTHONDONTWRITEBYTECODE",
        "HF_HOME",
        "NVIDIA_VISIBLE_DEVICES",
        "NVIDIA_DRIVER_CAPABILITIES",
    }


@images
def test_folders_that_are_written_to_are_volumes(image: str) -> None:
    (volumes,) = final(image).all("VOLUME")
    written = variables(final(image))
    folders = {written["TOKENMILL_DATA_DIR"], written["TOKENMILL_MODEL_CACHE_DIR"]}
    assert set(json.loads(volumes)) == folders
    assert all(folder in final(image).all("RUN")[0] for folder in folders)
    assert written["HF_HOME"].startswith(written["TOKENMILL_MODEL_CACHE_DIR"])


@images
def test_the_command_is_one_of_ours(image: str) -> None:
    assert json.loads(final(image).all("ENTRYPOINT")[0]) == ["tokenmill"]
    (command,) = json.loads(final(image).all("CMD")[0])
    assert command in cli.commands


@images
def test_health_check_is_python_that_asks_where_the_process_listens(image: str) -> None:
    python, option, code = health_command(image)
    assert (python, option) == ("python", "-c")
    ast.parse(code)
    (asked,) = re.findall(r"http://[^']+", code)
    assert str(urlsplit(asked).port) in final(image).all("EXPOSE")


def test_health_checks_ask_for_what_there_is() -> None:
    rules = {rule.rule for rule in create_app().url_map.iter_rules()}
    assert "/healthz" in rules
    assert "127.0.0.1:8000/healthz" in health_command("web")[2]
    assert Settings.model_fields["port"].default == 8000
    assert variables(final("worker"))["TOKENMILL_METRICS_PORT"] in health_command("worker")[2]
