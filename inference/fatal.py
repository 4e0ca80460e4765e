"""The last that an engine or an encoder says: that it can't go on."""

import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)

OnFatal = Callable[[BaseException], None]


def tell_fatal(on_fatal: OnFatal | None, error: BaseException) -> None:
    """Call who wants to know; requests have to be ended whatever it raises."""
    if on_fatal is None:
        return
    try:
        on_fatal(error)
    except BaseException:
        logger.exception("on_fatal failed", extra={"action": "on_fatal_failed"})
