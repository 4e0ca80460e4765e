"""How a job's outputs are generated, as it is kept in its row."""

from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from inference.request import SamplingParams

_PARAMS: TypeAdapter[SamplingParams] = TypeAdapter(SamplingParams)
# They have columns of their own.
_APART = frozenset({"max_tokens", "seed"})


@dataclass(frozen=True, slots=True)
class Sampling:
    """``n`` outputs for each prompt, the best of ``best_of``."""

    params: SamplingParams
    n: int = 1
    best_of: int = 1

    def to_json(self) -> dict[str, Any]:
        """Without what is at its default, and without the number of tokens and the seed."""
        values: dict[str, Any] = _PARAMS.dump_python(self.params, mode="json", exclude_defaults=True)
        for name in _APART:
            values.pop(name, None)
        return {"n": self.n, "best_of": self.best_of, "params": values}


def read_sampling(
    stored: dict[str, Any] | None, request: dict[str, Any], *, max_tokens: int, seed: int
) -> Sampling:
    """Of a job's row; rows without any are of the jobs API before it was kept apart."""
    if stored is None:
        values: dict[str, Any] = {name: request[name] for name in ("temperature", "top_p") if name in request}
        stop = request.get("stop") or ()
        values["stop"] = (stop,) if isinstance(stop, str) else tuple(stop)
        stored = {"params": values}
    params = _PARAMS.validate_python({**stored["params"], "max_tokens": max_tokens})
    return Sampling(replace(params, seed=seed), stored.get("n", 1), stored.get("best_of", 1))
