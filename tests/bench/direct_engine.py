"""The baseline for generation: the engine alone in a process, given the same prompts all at once.

Reads a line of JSON per round from standard input and answers each with tokens, seconds, and the medians
of the time to a chat's first token and between its tokens.
"""

import json
import sys
import time
from collections import defaultdict
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Any

from inference.engine import Engine
from inference.loader import load_model
from inference.prompts import PromptRenderer
from inference.request import GenerationRequest, Outcome, SamplingParams, TokenEvent
from tasks.settings import settings


def main() -> None:
    spec = settings().served_model()
    loaded = load_model(spec, settings().model_cache_dir)
    engine = Engine(loaded, slots=settings().worker_slots, max_batch_tokens=settings().worker_batch_tokens)
    engine.start()
    renderer = PromptRenderer.for_model(spec, settings().model_cache_dir)
    print(json.dumps({"ready": True, "quantization": loaded.quantization}), flush=True)
    for line in sys.stdin:
        print(json.dumps(run(engine, renderer, json.loads(line))), flush=True)
    engine.stop()


def run(engine: Engine, renderer: PromptRenderer, order: dict[str, Any]) -> dict[str, float]:
    requests = [
        GenerationRequest(
            request_id=str(index),
            prompt_token_ids=tuple(renderer.chat(messages)),
            params=SamplingParams(max_tokens=order["max_tokens"], temperature=0),
        )
        for index, messages in enumerate(order["chats"])
    ]
    came: defaultdict[int, list[float]] = defaultdict(list)

    def hear(index: int, event: TokenEvent | Outcome) -> None:
        if isinstance(event, TokenEvent):
            came[index].append(time.monotonic())

    started = time.monotonic()
    generations = [engine.submit(request, partial(hear, index)) for index, request in enumerate(requests)]
    outcomes = [generation.wait() for generation in generations]
    seconds = time.monotonic() - started
    return {
        "tokens": sum(outcome.usage.completion_tokens for outcome in outcomes if outcome is not None),
        "seconds": seconds,
        "first_token_ms": median(times[0] - started for times in came.values()) * 1000,
        "between_tokens_ms": median(
            (later - earlier) * 1000 for times in came.values() for earlier, later in pairwise(times)
        ),
    }


if __name__ == "__main__":
    main()
