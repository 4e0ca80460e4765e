"""What a request must fulfil before it gets near the batch."""

import math
from collections.abc import Sequence

from inference.errors import InvalidGeneration
from inference.request import GenerationRequest, SamplingParams


def validate(request: GenerationRequest, max_context: int, vocab_size: int) -> None:
    """Raises InvalidGeneration naming what is wrong. Lengths are in tokens."""
    _check_params(request.params)
    if not request.prompt_token_ids:
        raise InvalidGeneration("The prompt has no tokens.")
    _check_token_ids("prompt_token_ids", request.prompt_token_ids, vocab_size)
    _check_token_ids("generated_token_ids", request.generated_token_ids, vocab_size)
    prompt, output = len(request.prompt_token_ids), request.params.max_tokens
    if prompt + output > max_context:
        raise InvalidGeneration(
            f"The prompt has {prompt} tokens and up to {output} are to be generated; "
            f"the context holds {max_context}."
        )


def _check_token_ids(name: str, token_ids: Sequence[int], vocab_size: int) -> None:
    for token_id in token_ids:
        if type(token_id) is not int or not 0 <= token_id < vocab_size:
            raise InvalidGeneration(f"{name} holds {token_id!r}; token ids are 0 to {vocab_size - 1}.")


def _check_params(params: SamplingParams) -> None:
    if type(params.max_tokens) is not int or params.max_tokens < 1:
        raise InvalidGeneration("max_tokens must be a whole number above 0.")
    if type(params.seed) is not int:
        raise InvalidGeneration("seed must be a whole number.")
    if not math.isfinite(params.temperature) or params.temperature < 0:
        raise InvalidGeneration("temperature must be 0 or more.")
    if not 0 <= params.top_p <= 1:
        raise InvalidGeneration("top_p must be from 0 to 1.")
    if not all(isinstance(stop, str) and stop for stop in params.stop):
        raise InvalidGeneration("A stop string must be a text that is not empty.")
