"""redis-py without the OpenTelemetry that it imports wherever it finds it.

Nothing here measures its commands, and it takes half a second of every start. What records traces imports it
itself, where they are on.
"""

import sys

_hidden = "opentelemetry" not in sys.modules
if _hidden:
    sys.modules["opentelemetry"] = None  # type: ignore[assignment]  # how Python is told that there is none
try:
    from redis import Redis, RedisError
    from redis.backoff import NoBackoff
    from redis.retry import Retry
finally:
    if _hidden:
        del sys.modules["opentelemetry"]

__all__ = ["NoBackoff", "Redis", "RedisError", "Retry"]
