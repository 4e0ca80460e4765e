"""The baseline for generation: the engine alone in a process, given the same prompts all at once.

Reads a line of JSON per round from standard input and answers each with tokens and seconds.
"""

import json
import sys
import time

from inference.engine import Engine
from inference.loader import load_model
from inference.prompts import PromptRenderer
from inference.request import GenerationRequest, SamplingParams
from tasks.settings import settings


def main() -> None:
    spec = settings().served_model()
    loaded = load_model(spec, settings().model_cache_dir)
    engine = Engine(loaded, slots=settings().worker_slots, max_batch_tokens=settings().worker_batch_tokens)
    engine.start()
    renderer = PromptRenderer.for_model(spec, settings().model_cache_dir)
    print(json.dumps({"ready": True, "quantization": loaded.quantization}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        requests = [
            GenerationRequest(
                request_id=str(index),
                prompt_token_ids=tuple(renderer.chat(messages)),
                params=SamplingParams(max_tokens=order["max_tokens"], temperature=0),
            )
            for index, messages in enumerate(order["chats"])
        ]
        started = time.monotonic()
        generations = [engine.submit(request) for request in requests]
        outcomes = [generation.wait() for generation in generations]
        seconds = time.monotonic() - started
        tokens = sum(outcome.usage.completion_tokens for outcome in outcomes if outcome is not None)
        print(json.dumps({"tokens": tokens, "seconds": seconds}), flush=True)
    engine.stop()


if __name__ == "__main__":
    main()
