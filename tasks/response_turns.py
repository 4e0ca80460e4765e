"""Responses as turns of a conversation: what went in and what came out, read from their jobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, func, select

from inference.errors import ModelLoadError
from inference.prompts import PromptRenderer
from tasks.errors import ModelNotSupported, UnknownModelRequested
from tasks.models import Job, JobStatus
from tasks.plan import Endpoint
from tasks.planning import find_model, renderer_of
from tasks.wire.item_ids import ItemPlace, digits_of
from tasks.wire.response_items import Item
from tasks.wire.response_output import Written, output_items
from tasks.wire.shown_items import ShownItem, kept_item, shown_item


@dataclass(frozen=True, slots=True)
class PlacedItem:
    """An item and where it stands."""

    place: ItemPlace
    shown: ShownItem


def responses_of(project_id: str) -> tuple[ColumnElement[bool], ...]:
    """The jobs that are responses of a project and not deleted."""
    return (
        Job.project_id == project_id,
        Job.endpoint == Endpoint.RESPONSES,
        Job.deleted_at.is_(None),
    )


def select_turns(*conditions: ColumnElement[bool]) -> Select[Any]:
    """The columns that a turn is made of."""
    first = Job.choices[0]
    return select(
        Job.id.label("job_id"),
        Job.model,
        Job.status,
        Job.conversation_id,
        Job.request,
        func.coalesce(first["text"].astext, Job.output_text, "").label("text"),
        func.coalesce(first["finish_reason"].astext, Job.finish_reason).label("finish_reason"),
    ).where(*conditions)


def turn_items(row: RowMapping) -> list[PlacedItem]:
    """The input and the output of a turn, in order."""
    written = Written(
        job_id=row["job_id"],
        request=row["request"],
        status=JobStatus(row["status"]),
        text=row["text"],
        finish_reason=row["finish_reason"],
    )
    digits = digits_of(written.job_id)
    given: list[Item] = written.request["input"]
    shown: list[ShownItem] = [shown_item(item, digits, number) for number, item in enumerate(given)]
    shown += output_items(written, reader_of(row["model"], written.request))
    return [PlacedItem(ItemPlace(digits, number), item) for number, item in enumerate(shown)]


def reader_of(model: str, request: dict[str, Any]) -> PromptRenderer | None:
    """What is needed to read what a model wrote; None where nothing is, or the model is no longer there."""
    if not (request.get("tools") or request.get("include")):
        return None
    try:
        return renderer_of(find_model(model))
    except (UnknownModelRequested, ModelNotSupported, ModelLoadError):
        return None


def kept_items_of(placed: Sequence[PlacedItem]) -> list[Item]:
    """The items that a prompt can be made of."""
    return [kept for one in placed if (kept := kept_item(one.shown)) is not None]
