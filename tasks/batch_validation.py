"""Validation: from the lines of a file to jobs that are admitted together, or to the list of all faults."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from tasks import batch_limits, ledger, webhook_events
from tasks.batch import BatchStatus
from tasks.batch_lines import LineFault, LineReader, PlannedLine
from tasks.batch_source import lines_again, open_input
from tasks.db import is_outage, transaction, unpooled_engine
from tasks.errors import (
    BatchRefused,
    DatabaseUnavailable,
    StorageUnavailable,
    TokenmillError,
)
from tasks.ids import new_file_id
from tasks.keys import models_of
from tasks.ledger import Payer
from tasks.line_spool import LineSpool
from tasks.metrics import jobs as job_metrics
from tasks.models import Batch, File
from tasks.plan import Endpoint, ServiceTier
from tasks.principal import demand_model
from tasks.settings import settings
from tasks.tracing import context, recording

MOST_ERRORS = 1000
_LOCK_SPACE = 7_270_013
_LOOK_EVERY_LINES = 1000

log = structlog.get_logger(__name__)


class _Withdrawn(Exception):
    """The batch is no longer to be validated."""


def validate_waiting() -> int:
    """Validate the batches that wait for it, the oldest first; returns how many. Raises DatabaseUnavailable.

    Whoever dies over one leaves it as it was, to be validated from scratch.
    """
    query = select(Batch.id).where(Batch.status == BatchStatus.VALIDATING).order_by(Batch.id)
    with transaction() as connection:
        waiting = connection.execute(query).scalars().all()
    return sum(_validate_alone(batch_id) for batch_id in waiting)


def _validate_alone(batch_id: str) -> bool:
    """Whether this process was the one to do it."""
    with _lock_of(batch_id) as ours, structlog.contextvars.bound_contextvars(batch_id=batch_id):
        if not ours:
            return False
        try:
            _validate(batch_id)
        except _Withdrawn:
            log.info("batch withdrawn", action="batch_withdrawn")
        except (DatabaseUnavailable, StorageUnavailable) as error:
            log.warning("validation deferred", action="batch_deferred", error=error.code)
            return False
        except Exception:
            # It would fail the next time too, and hold up all others.
            log.exception("validation failed", action="batch_validation_failed")
            _refuse(batch_id, [_error("server_error", "The batch could not be validated.")])
    return True


def _validate(batch_id: str) -> None:
    batch = _read(batch_id)
    trace = context.parse(batch.traceparent, batch.tracestate)
    spool = LineSpool(batch.id, batch.project_id, batch.api_key_id, batch.expires_at, trace)
    with spool, recording.step("scheduler", "validate", trace, {"tokenmill.batch.id": batch.id}):
        try:
            _fill(spool, batch)
            _check_limits(spool, batch)
            _admit(spool, batch)
        except BatchRefused as refusal:
            _refuse(batch_id, list(refusal.details))
        except TokenmillError as error:
            if isinstance(error, DatabaseUnavailable | StorageUnavailable):
                raise
            _refuse(batch_id, [_error(error.code, error.message, error.param)])


def _fill(spool: LineSpool, batch: Any) -> None:
    """Raises BatchRefused, and what can be wrong with the file as a whole."""
    models = models_of(batch.api_key_id)
    if batch.retry_of is not None:
        for values, most_output_tokens, prices in lines_again(batch.retry_of):
            demand_model(models, values["model"])
            spool.add_values(values, most_output_tokens, prices)
        return
    reader = LineReader(Endpoint(batch.endpoint), batch.project_id, models)
    lines = _watched(batch.id, reader.read(open_input(batch.project_id, batch.input_file_id)))
    faults: list[LineFault] = []
    for line in lines:
        if isinstance(line, PlannedLine):
            # Nothing will come of it once there is a fault; the others are still to be found.
            if not faults:
                spool.add(line)
        elif batch.on_invalid_line == "skip":
            spool.leave_out(line)
        else:
            faults.append(line)
            if len(faults) == MOST_ERRORS:
                break
    if faults:
        raise BatchRefused(details=tuple(fault.to_json() for fault in faults))


def _watched(batch_id: str, lines: Iterable[PlannedLine | LineFault]) -> Iterator[PlannedLine | LineFault]:
    """Stops where the batch has been cancelled meanwhile, or has too many lines."""
    for count, line in enumerate(lines, start=1):
        if count > settings().max_file_lines:
            raise BatchRefused(
                details=(_error("too_many_lines", f"A batch has at most {settings().max_file_lines} lines."),)
            )
        if count % _LOOK_EVERY_LINES == 0:
            _read(batch_id)
        yield line


def _check_limits(spool: LineSpool, batch: Any) -> None:
    """Raises BatchRefused, InsufficientQuota."""
    if not spool.jobs and not spool.invalid:
        refusal = _error("empty_file", "There is no line to run.", "input_file_id")
        raise BatchRefused(details=(refusal,))
    if batch.max_cost_usd is not None and spool.hold_usd > batch.max_cost_usd:
        message = f"The batch may cost up to {spool.hold_usd:f} USD, more than its max_cost_usd."
        raise BatchRefused(details=(_error("max_cost_exceeded", message, "max_cost_usd"),))
    # So that nothing is copied in vain; what decides is the transaction.
    with transaction() as connection:
        ledger.check_covered(connection, Payer(batch.project_id, batch.api_key_id), spool.hold_usd)
        batch_limits.check(connection, batch.project_id, spool.model, spool.prompt_tokens)


def _admit(spool: LineSpool, batch: Any) -> None:
    """All lines, or none. Raises InsufficientQuota, TooManyQueuedTokens."""
    with transaction() as connection:
        connection.execute(text("SET LOCAL statement_timeout = '10min'"))
        spool.copy_into(connection)
        files = {view: _add_view(connection, batch, view) for view in ("output", "error")}
        # Late, because others wait for these two rows.
        _begin(connection, spool, batch.id, files)
        ledger.set_aside(connection, {Payer(batch.project_id, batch.api_key_id): spool.hold_usd})
        # With the project's spend locked, which the admission of another batch waits for.
        batch_limits.check(connection, batch.project_id, spool.model, 0)
    if spool.model is not None:
        job_metrics.count_admitted(spool.model, ServiceTier.BATCH, spool.jobs)
    log.info("batch admitted", action="batch_admitted", lines=spool.jobs, invalid=spool.invalid)


def _begin(connection: Connection, spool: LineSpool, batch_id: str, files: dict[str, str]) -> None:
    begun = connection.execute(
        update(Batch)
        .where(Batch.id == batch_id, Batch.status == BatchStatus.VALIDATING)
        .values(
            status=BatchStatus.IN_PROGRESS,
            in_progress_at=func.now(),
            model=spool.model,
            queued_tokens=spool.prompt_tokens,
            total=spool.jobs + spool.invalid,
            failed=spool.invalid,
            unfinished=spool.jobs,
            last_position=spool.invalid,
            output_file_id=files["output"],
            error_file_id=files["error"],
        )
    )
    if begun.rowcount == 0:
        raise _Withdrawn


def _add_view(connection: Connection, batch: Any, view: str) -> str:
    seconds = batch.output_expires_after_seconds
    values = {
        "id": new_file_id(),
        "project_id": batch.project_id,
        "filename": f"{batch.id}_{view}.jsonl",
        "purpose": "batch_output",
        "bytes": 0,
        "batch_id": batch.id,
        "view": view,
        "expires_at": None if seconds is None else func.now() + timedelta(seconds=seconds),
    }
    connection.execute(insert(File).values(values))
    return str(values["id"])


def _refuse(batch_id: str, errors: list[dict[str, Any]]) -> None:
    with transaction() as connection:
        refused = connection.execute(
            update(Batch)
            .where(Batch.id == batch_id, Batch.status == BatchStatus.VALIDATING)
            .values(status=BatchStatus.FAILED, failed_at=func.now(), errors=errors)
            .returning(Batch.id, Batch.project_id, Batch.status)
        )
        webhook_events.batches_ended(connection, refused.all())
    log.info("batch refused", action="batch_refused", errors=len(errors), code=errors[0]["code"])


def _error(code: str, message: str, param: str | None = None) -> dict[str, Any]:
    return {"code": code, "message": message, "param": param, "line": None}


def _read(batch_id: str) -> Any:
    """The batch as it stands. Raises _Withdrawn."""
    query = select(*Batch.__table__.columns).where(
        Batch.id == batch_id, Batch.status == BatchStatus.VALIDATING
    )
    with transaction() as connection:
        row = connection.execute(query).first()
    if row is None:
        raise _Withdrawn
    return row


@contextmanager
def _lock_of(batch_id: str) -> Iterator[bool]:
    """Whether nobody else validates it. The lock goes with its connection, so with the process too.

    Raises DatabaseUnavailable.
    """
    engine = unpooled_engine(settings().database_url).execution_options(isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            query = select(func.pg_try_advisory_lock(_LOCK_SPACE, func.hashtext(batch_id)))
            yield bool(connection.execute(query).scalar())
    except DBAPIError as error:
        if not is_outage(error):
            raise
        raise DatabaseUnavailable from error
    finally:
        engine.dispose()
