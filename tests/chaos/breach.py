"""A promise that was not kept."""

from dataclasses import dataclass

from tests.chaos.record import Story

PROMISES = {
    "I1": "nothing acknowledged is lost",
    "I2": "one outcome",
    "I3": "one bill",
    "I4": "conservation",
    "I5": "no overspend",
    "I6": "no leaks between tenants",
    "I7": "reproducible",
    "quiet": "all of it recovers by itself",
    "answers": "errors are told as what they are",
}


@dataclass(frozen=True, slots=True)
class Breach:
    """``promise`` is one of ``PROMISES``; ``story`` is of the job or batch that it is about, if one is."""

    promise: str
    what: str
    story: Story | None = None
