"""What has come of a job, complete enough to make any endpoint's body of it."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inference.request import SamplingParams, TokenLogprob
from tasks.job import JobRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One output. ``finish_reason`` is None while it is generated, and where it was cut short.

    ``logprobs`` has an entry per token of ``token_ids`` where the request asked for them.
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: Literal["stop", "length"] | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    prompt_logprobs: tuple[TokenLogprob | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """A job with its request and its outputs; of one that runs, what its last checkpoint knew.

    ``choices`` are in the order of prompts, ``n`` for each, and as many as the job is to have, whether
    it has begun or not. ``vectors`` float32 [inputs, dimensions] are those of a completed embedding job.
    """

    job: JobRecord
    request: dict[str, Any]
    params: SamplingParams
    n: int
    best_of: int
    prompts: tuple[tuple[int, ...], ...]
    choices: tuple[Choice, ...]
    vectors: NDArray[np.float32] | None = None
