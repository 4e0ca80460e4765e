"""Ids of items: made of where an item comes from, so that nobody has to store or draw them.

``msg_0199…_3`` is the item in place 3 of the response (or of the addition to a conversation) whose
id has these digits. Digits rise with time, so an item's id also tells its place in a conversation.
"""

import re
from dataclasses import dataclass

from tasks.ids import JOB_PREFIX

PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fco"}

_ITEM_ID = re.compile(r"(?:msg|fc|fco)_([0-9a-f]{32})_(0|[1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True, order=True)
class ItemPlace:
    """Where an item stands: in time, then among those that came with it."""

    digits: str
    number: int

    @property
    def job_id(self) -> str:
        """The job of the response it belongs to, unless it was added to a conversation by itself."""
        return JOB_PREFIX + self.digits


def item_id(kind: str, digits: str, number: int) -> str:
    return f"{PREFIXES[kind]}_{digits}_{number}"


def call_id(digits: str, number: int) -> str:
    """What ties a call's output to the call."""
    return f"call_{digits}_{number}"


def item_place(shown: str) -> ItemPlace | None:
    """The place that an id speaks of; None for what is no item's id."""
    found = _ITEM_ID.fullmatch(shown)
    return ItemPlace(found[1], int(found[2])) if found else None


def digits_of(job_id: str) -> str:
    return job_id.removeprefix(JOB_PREFIX)
