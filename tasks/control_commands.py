"""What a worker does at the word of `celery control`, where Celery's own would be wrong here."""

from typing import Any

from celery.worker.control import control_command

from tasks import revoking
from tasks.errors import TokenmillError


def register() -> None:
    """Put ours in the place of Celery's. The pool has threads, which can't be terminated anyway."""
    control_command(name="revoke", variadic="task_id", signature="[id1 [id2 [... [idN]]]]")(_revoke)
    control_command(
        name="terminate",
        args=[("signal", str)],
        variadic="task_id",
        signature="<signal> [id1 [id2 [... [idN]]]]",
    )(_revoke)


def _revoke(_state: object, task_id: str | list[str], **_: Any) -> dict[str, str]:
    """Cancel the jobs of tasks, by their ids."""
    task_ids = [task_id] if isinstance(task_id, str) else task_id
    try:
        return {"ok": " ".join([revoking.revoke(one) for one in task_ids])}
    except TokenmillError as error:
        return {"error": error.message}
