from pathlib import Path

import pytest

from tasks.settings import Settings
from tests.services.errors import ServiceError
from tests.services.process_set import ProcessKind, read_process_set
from web.cli import cli


def test_every_process_runs_a_command_that_exists() -> None:
    for kind in read_process_set().values():
        name, *options = kind.arguments
        context = cli.commands[name].make_context(name, options)
        assert (context.info_name, context.args) == (name, [])


def test_the_set_is_a_whole_platform() -> None:
    kinds = read_process_set()
    counts = {name: kind.count for name, kind in kinds.items()}
    assert counts == counts | {"scheduler": 2, "worker": 1, "embeddings": 1, "flower": 1, "web": 2}
    assert [*kinds][-1] == "web", "requests come in when everything else is there, and stop first"


def test_readiness_is_asked_at_a_port_or_read_in_a_log() -> None:
    for kind in read_process_set().values():
        assert kind.ports if kind.ready.startswith("/") else kind.ready.isidentifier()


def test_ports_are_given_by_settings() -> None:
    known = {str(field.alias) for field in Settings.model_fields.values()}
    for kind in read_process_set().values():
        assert set(kind.ports) <= known


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[web", "processes.toml is wrong: "),
        ('[web]\ncommand = "tokenmill web"', "web.ready: Field required"),
        ('[web]\ncommand = "sleep 5"\nready = "x"', "web.command: "),
        ('[web]\ncommand = "tokenmill web"\nready = "x"\ncount = 0', "web.count: "),
        ('[web]\ncommand = "tokenmill web"\nready = "x"\nports = ["A"]\nrank = 1', "web.rank: Extra"),
    ],
)
def test_wrong_file_is_told_with_the_place(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "processes.toml"
    path.write_text(text)
    with pytest.raises(ServiceError, match=told):
        read_process_set(path)


def test_command_is_split_as_a_shell_does() -> None:
    kind = ProcessKind(command="tokenmill worker --model 'a b'", ready="model_ready")
    assert kind.arguments == ["worker", "--model", "a b"]
