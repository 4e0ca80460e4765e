"""Where a request's limits stand, from whoever counted it to the headers of its answer."""

import math
from collections.abc import Iterable

from flask import Response, g

from tasks.limit import Standing, decisive, tightest
from web.durations import duration_text

# The OpenAI SDK gives up when told to wait longer.
_LONGEST_RETRY_AFTER_SECONDS = 120


def note(found: Iterable[Standing]) -> None:
    """Remember where limits stand; what is said later of the same limit counts."""
    _noted().update({standing.limit.counter: standing for standing in found})


def add_headers(response: Response) -> Response:
    """Tell the client where it stands, and when to come again if it was refused."""
    found = list(_noted().values())
    for unit in ("requests", "tokens"):
        standing = tightest(found, unit)
        if standing is not None:
            response.headers[f"x-ratelimit-limit-{unit}"] = str(standing.limit.amount)
            response.headers[f"x-ratelimit-remaining-{unit}"] = str(standing.remaining)
            response.headers[f"x-ratelimit-reset-{unit}"] = duration_text(standing.seconds_left)
    refusing = decisive(found)
    if refusing is not None and refusing.never:
        response.headers["x-should-retry"] = "false"
    elif refusing is not None:
        seconds = max(1, math.ceil(refusing.seconds_left))
        response.headers["Retry-After"] = str(min(seconds, _LONGEST_RETRY_AFTER_SECONDS))
    return response


def _noted() -> dict[str, Standing]:
    if "standings" not in g:
        g.standings = {}
    noted: dict[str, Standing] = g.standings
    return noted
