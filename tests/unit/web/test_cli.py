import os
import socket
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.unit.web.conftest import Configure
from web.cli import cli

COMMANDS = (
    ["web"],
    ["worker"],
    ["scheduler"],
    ["status"],
    ["flower"],
    ["serve"],
    ["demo"],
    ["db"],
    ["db", "upgrade"],
    ["db", "check"],
    ["db", "current"],
    ["projects", "create"],
    ["projects", "list"],
    ["projects", "archive"],
    ["users"],
    ["users", "add"],
    ["users", "accept"],
    ["users", "list"],
    ["users", "remove"],
    ["users", "join"],
    ["users", "create-key"],
    ["admin-keys"],
    ["admin-keys", "create"],
    ["admin-keys", "list"],
    ["admin-keys", "revoke"],
    ["keys", "create"],
    ["keys", "list"],
    ["keys", "rotate"],
    ["keys", "revoke"],
    ["budgets"],
    ["budgets", "set"],
    ["budgets", "remove"],
    ["budgets", "list"],
    ["budgets", "prepaid"],
    ["budgets", "alert"],
    ["prices", "list"],
    ["prices", "set"],
    ["billing"],
    ["billing", "export"],
    ["billing", "invoice"],
    ["billing", "verify"],
    ["billing", "grant"],
    ["billing", "adjust"],
    ["billing", "refund"],
    ["batch"],
    ["batch", "run"],
    ["batch", "list"],
    ["batch", "status"],
    ["batch", "cancel"],
)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="tokenmill")


def one_line(result: Result) -> str:
    """The only line of stderr, which is all that an expected failure prints."""
    assert "Traceback" not in result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_says_what_the_command_does(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) >= 5


def test_version_is_told() -> None:
    assert run("--version").output.startswith("tokenmill ")


def test_wrong_setting_is_told_by_its_variable(configure: Configure) -> None:
    configure(port="many")
    result = run("serve", "--embedded")
    assert result.exit_code == 2
    assert "TOKENMILL_PORT" in one_line(result)


def test_wrong_catalogue_is_told_by_its_line(configure: Configure) -> None:
    configure(catalog_overrides="[models.x]\ncolour = 1")
    result = run("serve", "--embedded")
    assert result.exit_code == 2
    assert "line" in one_line(result)


def test_port_in_use_is_told_before_anything_starts(configure: Configure) -> None:
    configure()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = run("serve", "--embedded", "--port", port)
    assert result.exit_code == 1
    assert port in one_line(result)
    assert "in use" in result.stderr


def test_database_that_is_away_is_told_in_one_line(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/none")
    configure()
    for command in (("db", "check"), ("status",)):
        result = run(*command)
        assert result.exit_code == 1
        assert "database" in one_line(result)


@pytest.mark.parametrize(
    ("arguments", "values", "why"),
    [
        ((), {}, "TOKENMILL_FLOWER_PASSWORD"),
        (("--no-auth", "--host", "0.0.0.0"), {}, "this machine only"),
        (("--host", "127.0.0.1"), {"flower_password": "with space"}, "ASCII"),
        (("--host", "127.0.0.1"), {"flower_password": "x", "flower_user": "a:b"}, "FLOWER_USER"),
    ],
)
def test_flower_without_credentials_or_with_useless_ones_is_refused(
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    values: dict[str, str],
    why: str,
) -> None:
    monkeypatch.setenv("TOKENMILL_FLOWER_HOST", "127.0.0.1")
    configure(**values)
    result = run("flower", *arguments)
    assert result.exit_code == 2
    assert why in result.stderr
    assert "with space" not in result.stderr


def test_flower_of_a_platform_in_one_process_is_refused(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_URL", "memory://")
    configure(flower_password="x")
    result = run("flower")
    assert result.exit_code == 2
    assert "one process" in result.stderr


def test_flower_without_a_password_only_looks(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda path, arguments: started.append(arguments))
    monkeypatch.setattr("web.commands.flower.require_schema", lambda: None)
    configure(flower_host="localhost")
    assert run("flower", "--no-auth").exit_code == 0
    assert started == [[sys.executable, "-m", "web.flower_process", "--read-only"]]


def test_serve_without_embedded_points_to_the_other_commands() -> None:
    result = run("serve")
    assert result.exit_code == 2
    assert "tokenmill web" in result.stderr


@pytest.mark.parametrize("amount", ["-1", "NaN", "much", "Infinity"])
def test_limit_that_is_no_amount_is_refused(amount: str) -> None:
    result = run("projects", "create", "acme", "--limit-usd", amount)
    assert result.exit_code == 2
    assert "is not an amount" in result.stderr


def test_worker_becomes_celery_with_its_options_as_settings(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda path, arguments: started.append(arguments))
    monkeypatch.setattr("web.commands.worker.require_schema", lambda: None)
    monkeypatch.setenv("TOKENMILL_WORKER_MODEL", "")
    monkeypatch.setenv("TOKENMILL_WORKER_SLOTS", "1")
    configure()
    assert run("worker", "--model", "smollm2", "--slots", "3").exit_code == 0
    assert run("worker").exit_code == 0
    assert started[0][:7] == [sys.executable, "-m", "celery", "-A", "tasks.app", "--quiet", "worker"]
    names = {arguments[arguments.index("-n") + 1] for arguments in started}
    assert len(names) == 2, "two workers on a machine must not share a node name"
    assert (os.environ["TOKENMILL_WORKER_MODEL"], os.environ["TOKENMILL_WORKER_SLOTS"]) == ("smollm2", "3")


ONLY_EMBEDDINGS = """
[models.words]
source = "org/words"
task = "embed"
context_length = 128
prices = { input_usd = 1 }
"""


def test_worker_for_a_model_that_is_not_there_is_refused(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENMILL_WORKER_MODEL", "")
    configure()
    result = run("worker", "--model", "gpt-4")
    assert result.exit_code == 1
    assert "'gpt-4' is not in the catalogue" in one_line(result)


@pytest.mark.parametrize("command", [("worker",), ("serve", "--embedded")])
def test_without_a_model_that_generates_nothing_starts(
    configure: Configure, tmp_path: Path, command: tuple[str, ...]
) -> None:
    catalog = tmp_path / "models.toml"
    catalog.write_text(ONLY_EMBEDDINGS, "utf-8")
    configure(catalog=catalog)
    result = run(*command)
    assert result.exit_code == 1
    assert "no model that generates" in one_line(result)


def test_worker_for_an_unknown_model_is_refused(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENMILL_WORKER_MODEL", "")
    configure()
    result = run("worker", "--model", "gpt-9")
    assert result.exit_code == 1
    assert "gpt-9" in one_line(result)


TABLE = "id,text\n1,one\n"


@pytest.mark.parametrize(
    ("name", "content", "arguments", "why"),
    [
        ("in.csv", TABLE, (), "A table needs --prompt and --model"),
        ("in.csv", TABLE, ("--prompt", "x", "--model", "m", "--endpoint", "/v1/responses"), "run as chats"),
        ("in.jsonl", "{}\n", ("--prompt", "x"), "are for tables"),
    ],
)
def test_batch_command_that_is_wrong_says_so(
    tmp_path: Path, name: str, content: str, arguments: tuple[str, ...], why: str
) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    result = run("batch", "run", str(tmp_path / name), "--key", "k", *arguments)
    assert result.exit_code == 2
    assert why in result.stderr


@pytest.mark.parametrize(
    ("name", "content", "arguments", "why"),
    [
        ("in.csv", TABLE, ("--prompt", "{word}"), "the column 'word'"),
        ("in.csv", "answer,text\n1,one\n", ("--prompt", "x"), "--prefix"),
        ("in.jsonl", "not json\n", (), "no request with a `url`"),
        ("in.jsonl", "", (), "no request with a `url`"),
        ("in.jsonl", "{}\n", ("-o", "nowhere/out.jsonl"), "no folder nowhere"),
        ("in.jsonl", "{}\n", ("-o", "in.jsonl"), "would overwrite"),
    ],
)
def test_batch_input_that_can_not_be_used_is_told_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    content: str,
    arguments: tuple[str, ...],
    why: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(content, "utf-8")
    model = ("--model", "m") if name == "in.csv" else ()
    result = run("batch", "run", name, "--key", "k", *model, *arguments)
    assert result.exit_code == 1
    assert why in one_line(result)
