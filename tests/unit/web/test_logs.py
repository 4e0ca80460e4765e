import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from tasks import log_fields, logs
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


@pytest.mark.parametrize("form", ["text", "json"])
def test_personal_data_in_an_error_is_not_in_its_line(
    configure: Configure, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    configure(log_format=form)
    logs.configure()
    try:
        raise RuntimeError("no mailbox jo@example.com, call +49 171 1234567")
    except RuntimeError as error:
        structlog.get_logger("tasks.v").exception("failed", action="failed", error=str(error))
        logging.getLogger("some.library").exception("for %s", "4111 1111 1111 1111")
    printed = capsys.readouterr().err
    assert printed.count("RuntimeError: no mailbox [email], call [phone]") == 2
    assert "[card]" in printed
    assert not [data for data in ("jo@", "1234567", "4111") if data in printed]


def test_line_of_the_engine_says_whose_job_it_is_about(
    configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(log_format="json")
    logs.configure()
    fields = {"job_id": "job_1", "request_id": "req_1", "project_id": "proj_1", "trace_id": "4bf9"}
    log_fields.remember("job_1", fields)
    failed = {"action": "request_failed", "request_id": "job_1/0:2"}
    logging.getLogger("inference.batch").error("request failed", extra=failed)
    structlog.get_logger("tasks.u").info("tokens come", action="tokens", job_id="job_1")
    log_fields.forget("job_1")
    logging.getLogger("inference.batch").error("request failed", extra=failed)
    first, second, third = lines(capsys)
    assert first.items() >= fields.items()
    assert second.items() >= fields.items()
    assert third["job_id"] == "job_1"
    assert "project_id" not in third
