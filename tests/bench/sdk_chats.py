"""Chats streamed with the official SDK, all at once, from a process of its own.

    python -m tests.bench.sdk_chats BASE_URL KEY

Reads a line of JSON per round from standard input and answers each as tests.bench.direct_engine does.
"""

import asyncio
import json
import sys
import time
from itertools import pairwise
from statistics import median
from typing import Any

from openai import AsyncOpenAI

from tests.bench.whole_platform import MODEL


async def chat(client: AsyncOpenAI, messages: Any, max_tokens: int) -> tuple[int, list[float]]:
    """How many tokens it was billed, and when each piece of text came."""
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=messages,
        max_tokens=max_tokens,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    tokens, came = 0, []
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            came.append(time.monotonic())
        if chunk.usage is not None:
            tokens = chunk.usage.completion_tokens
    return tokens, came


async def run(client: AsyncOpenAI, order: dict[str, Any]) -> dict[str, float]:
    started = time.monotonic()
    done = await asyncio.gather(*(chat(client, one, order["max_tokens"]) for one in order["chats"]))
    seconds = time.monotonic() - started
    return {
        "tokens": sum(tokens for tokens, _ in done),
        "seconds": seconds,
        "first_token_ms": median(came[0] - started for _, came in done) * 1000,
        "between_tokens_ms": median(
            (later - earlier) * 1000 for _, came in done for earlier, later in pairwise(came)
        ),
    }


async def main(base_url: str, key: str) -> None:
    async with AsyncOpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0, timeout=300) as client:
        print("ready", flush=True)
        for line in sys.stdin:
            print(json.dumps(await run(client, json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
