"""One address for several web processes, as a reverse proxy gives them in production."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress

from tests.services.errors import ServiceError

CHUNK_BYTES = 65_536
CONNECT_SECONDS = 5

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Balancer:
    """Hands each connection to the next process that takes it. Bytes only: it reads no HTTP."""

    def __init__(self, port: int, targets: Sequence[int]) -> None:
        self.port = port
        self._targets = list(targets)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="balancer", daemon=True)
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Raises ServiceError where the port is in use; port 0 becomes a free one."""
        self._thread.start()
        listening = asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=2048)
        try:
            self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        except OSError as error:
            self.stop()
            raise ServiceError(f"Can't listen on 127.0.0.1:{self.port}: {error.strerror}") from error
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Cuts the connections that are left."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await self._next_that_answers()
            if upstream is not None:
                await _connect((reader, writer), upstream)
        finally:
            writer.close()

    async def _next_that_answers(self) -> "Connection | None":
        for _ in self._targets:
            port = self._targets.pop(0)
            self._targets.append(port)
            with suppress(OSError):
                return await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), CONNECT_SECONDS)
        return None


async def _connect(client: Connection, upstream: Connection) -> None:
    """Until the process has no more to say, whatever the client still has to send."""
    sending = asyncio.create_task(_pass_on(client[0], upstream[1]))
    try:
        await _pass_on(upstream[0], client[1])
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        upstream[1].close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one side has gone; the other is told that no more comes."""
    with suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
