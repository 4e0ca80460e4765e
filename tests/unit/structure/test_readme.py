"""What the README says of settings and commands is so."""

import re
from pathlib import Path

import pytest

from tasks.settings import Settings
from web.cli import cli

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
# Defaults that depend on the machine or are said in words.
IN_WORDS = {"data_dir", "model_cache_dir", "storage_url", "worker_model"}


def table_rows() -> dict[str, str]:
    """Each setting in the README's table, and its default as written there."""
    rows: dict[str, str] = {}
    for names, defaults in re.findall(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \|(.*?)\|", README, re.MULTILINE):
        values = [default.strip().strip("`") for default in defaults.split(", ")]
        rows |= dict(zip(re.findall(r"`([A-Z_]+)`", names), values, strict=True))
    return rows


def variable(name: str) -> str:
    alias = Settings.model_config["alias_generator"]
    assert callable(alias)
    return str(alias(name))


def test_every_setting_is_in_the_table_and_nothing_else() -> None:
    assert set(table_rows()) == {variable(name) for name in Settings.model_fields}


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - IN_WORDS))
def test_default_in_the_table_is_the_real_one(name: str) -> None:
    default = Settings.model_fields[name].default
    written = table_rows()[variable(name)]
    assert written == (
        "" if default in (None, "") else f"{default:g}" if isinstance(default, float) else str(default)
    )


def test_every_command_in_the_readme_exists() -> None:
    for command in re.findall(r"tokenmill ([a-z][a-z-]*)", README):
        assert command in cli.commands, command
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)`", README)) <= targets
