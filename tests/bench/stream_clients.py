"""Many clients of event streams in one process, as light as a client in Python can be.

    python -m tests.bench.stream_clients BASE_URL KEY TOKENS < job ids, one a line

Prints ``ready`` when every stream is open, then, as JSON, the ``time.monotonic()`` at which each token of
each job arrived; that clock is the same in all processes of a machine.
"""

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit


async def follow(
    address: tuple[str, int], key: str, job_id: str, tokens: int, opened: asyncio.Semaphore
) -> list[float]:
    """When each token came."""
    reader, writer = await asyncio.open_connection(*address)
    head = f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n"
    writer.write(head.encode())
    status = await reader.readline()
    if b" 200 " not in status:
        raise RuntimeError(status.decode())
    opened.release()
    arrived: list[float] = []
    while len(arrived) < tokens:
        chunk = await reader.read(65536)
        if not chunk:
            raise RuntimeError(f"closed after {len(arrived)} tokens")
        arrived += [time.monotonic()] * chunk.count(b"event: tokens")
    writer.close()
    return arrived


async def main(base_url: str, key: str, tokens: int, job_ids: list[str]) -> None:
    parts = urlsplit(base_url)
    address = (parts.hostname or "", parts.port or 80)
    opened = asyncio.Semaphore(0)
    streams = [asyncio.create_task(follow(address, key, job_id, tokens, opened)) for job_id in job_ids]
    for _ in job_ids:
        await opened.acquire()
    print("ready", flush=True)
    arrived = await asyncio.gather(*streams)
    print(json.dumps(dict(zip(job_ids, arrived, strict=True))), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.stdin.read().split()))
