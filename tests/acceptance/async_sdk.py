"""OpenAI's asynchronous client in a test that is not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from openai import AsyncOpenAI

from tests.acceptance.conftest import LiveServer

T = TypeVar("T")


def run_async(server: LiveServer, use: Callable[[AsyncOpenAI], Awaitable[T]]) -> T:
    """What ``use`` makes of a client of the server."""

    async def run() -> T:
        async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as client:
            return await use(client)

    return asyncio.run(run())
