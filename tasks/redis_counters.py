"""Counters of limits in Redis: all that a request needs is counted in one script, so in one round trip.

A window begins with the first request that is counted in it. A script sees all counters at one moment
and changes all of them or none, whichever process asks.
"""

from collections.abc import Mapping, Sequence

from tasks.limit import Charge, Count
from tasks.redis_library import Redis

# KEYS: the counters, then the job's receipt where there is one.
# ARGV: 1 with a receipt, then for each counter: cost, amount, window in milliseconds, 1 if to be settled.
_TAKE = """
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local count = (#ARGV - 1) / 4
local used, ends, fits = {}, {}, 1
for i = 1, count do
  local cost, amount = tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1])
  local kept = redis.call('HMGET', KEYS[i], 'used', 'ends')
  used[i], ends[i] = tonumber(kept[1]), tonumber(kept[2])
  if not ends[i] or ends[i] <= now then
    used[i], ends[i] = 0, now + tonumber(ARGV[4 * i])
  end
  if cost > 0 and amount > 0 and used[i] + cost > amount then fits = 0 end
end
local answer, last = {fits}, 0
for i = 1, count do
  local cost = tonumber(ARGV[4 * i - 2])
  if fits == 1 and cost > 0 then
    local moment = string.format('%.0f', ends[i])
    used[i] = used[i] + cost
    redis.call('HSET', KEYS[i], 'used', used[i], 'ends', moment)
    redis.call('PEXPIREAT', KEYS[i], moment)
    if ARGV[1] == '1' and ARGV[4 * i + 1] == '1' then
      redis.call('HSET', KEYS[#KEYS], KEYS[i], moment .. ':' .. cost)
      last = math.max(last, ends[i])
    end
  end
  answer[2 * i], answer[2 * i + 1] = used[i], ends[i] - now
end
if last > 0 then redis.call('PEXPIREAT', KEYS[#KEYS], string.format('%.0f', last)) end
return answer
"""

# KEYS: receipts. ARGV: what each one's job has used.
_SETTLE = """
for i = 1, #KEYS do
  local kept = redis.call('HGETALL', KEYS[i])
  for j = 1, #kept, 2 do
    local ends, taken = string.match(kept[j + 1], '(%d+):(%d+)')
    local unused = tonumber(taken) - tonumber(ARGV[i])
    local counter = redis.call('HMGET', kept[j], 'ends', 'used')
    if unused > 0 and counter[1] == ends then
      redis.call('HSET', kept[j], 'used', math.max(0, tonumber(counter[2]) - unused))
    end
  end
  redis.call('DEL', KEYS[i])
end
"""


class RedisCounters:
    """Shared by all processes that have this Redis and these names."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._prefix = prefix
        self._take = redis.register_script(_TAKE)
        self._settle = redis.register_script(_SETTLE)

    def take(self, charges: Sequence[Charge], job_id: str | None = None) -> tuple[bool, list[Count]]:
        """Count all charges or, where one has no room, none; whether they were, and the counters then.

        What is taken in tokens is noted for the job, to be settled with what it really used. Raises
        RedisError.
        """
        names = [self._counter(charge) for charge in charges]
        arguments: list[int] = [0 if job_id is None else 1]
        for charge in charges:
            limit = charge.limit
            arguments += (charge.cost, limit.amount, limit.seconds * 1000, limit.unit == "tokens")
        receipts = [] if job_id is None else [self._receipt(job_id)]
        fits, *numbers = self._take(keys=names + receipts, args=[int(number) for number in arguments])
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        return bool(fits), [Count(int(used), int(left) / 1000) for used, left in pairs]

    def settle(self, used_tokens: Mapping[str, int]) -> None:
        """Give back what jobs took and did not use, where its window still lasts. Once for each job.

        Raises RedisError.
        """
        receipts = [self._receipt(job_id) for job_id in used_tokens]
        self._settle(keys=receipts, args=list(used_tokens.values()))

    def _counter(self, charge: Charge) -> str:
        return f"{self._prefix}:limit:{charge.limit.counter}"

    def _receipt(self, job_id: str) -> str:
        return f"{self._prefix}:taken:{job_id}"
