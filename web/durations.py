"""Durations as rate-limit headers write them."""

import math


def duration_text(seconds: float) -> str:
    """``6m0s``, ``1h0m5s``, ``250ms``: rounded up, so that whoever waits this long has waited enough."""
    if seconds <= 0:
        return "0s"
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, whole_seconds = divmod(math.ceil(milliseconds / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{whole_seconds}s"
    return f"{minutes}m{whole_seconds}s" if minutes else f"{whole_seconds}s"
