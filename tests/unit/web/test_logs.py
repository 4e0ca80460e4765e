import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from tasks import logs
from tests.unit.web.conftest import Configure


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    names = (*logs.OURS, "celery", "celery.beat", "gunicorn.error")
    levels = {name: logging.getLogger(name).level for name in names}
    yield
    root.handlers, root.level = handlers, level
    for name, value in levels.items():
        logging.getLogger(name).setLevel(value)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_line_is_one_json_object_with_action_and_bound_context(
    configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(log_format="json")
    logs.configure()
    structlog.contextvars.bind_contextvars(job_id="job_1")
    structlog.get_logger("tasks.x").info("job finished", action="job_finished", tokens=3)
    (line,) = lines(capsys)
    assert line["event"] == "job finished"
    assert (line["action"], line["job_id"], line["tokens"], line["level"]) == (
        "job_finished",
        "job_1",
        3,
        "info",
    )
    assert str(line["timestamp"]).endswith("Z")


def test_libraries_log_in_the_same_form_and_only_what_matters(
    configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(log_format="json")
    logs.configure()
    logging.getLogger("somebody.else").info("chatter")
    logging.getLogger("somebody.else").warning("trouble with %s", "x")
    (line,) = lines(capsys)
    assert (line["event"], line["action"]) == ("trouble with x", "somebody.else")


def test_standard_logger_may_name_its_action(
    configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(log_format="json")
    logs.configure()
    logging.getLogger("tasks.y").info("hello", extra={"action": "greeting", "job_id": "job_2"})
    (line,) = lines(capsys)
    assert (line["action"], line["job_id"]) == ("greeting", "job_2")


def test_level_silences_what_is_below_it(configure: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    configure(log_format="json", log_level="warning")
    logs.configure()
    structlog.get_logger("tasks.z").info("quiet", action="a")
    assert lines(capsys) == []


def test_unknown_level_is_refused(configure: Configure) -> None:
    configure(log_level="LOUD")
    with pytest.raises(ValueError, match="LOUD"):
        logs.configure()


@pytest.mark.parametrize("form", ["text", "json"])
def test_traceback_never_shows_local_variables(
    configure: Configure, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    configure(log_format=form)
    logs.configure()
    prompt = "squir" + "rel"
    try:
        raise RuntimeError(f"{len(prompt)} letters")
    except RuntimeError:
        structlog.get_logger("tasks.w").exception("failed", action="failed")
    printed = capsys.readouterr().err
    assert "7 letters" in printed or "8 letters" in printed
    assert "squirrel" not in printed
