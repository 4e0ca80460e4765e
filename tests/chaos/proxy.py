"""A line between clients and a server that can be cut: reset, swallowing what is sent, or just silent."""

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]
Result = TypeVar("Result")

_PIECE_BYTES = 65_536
# Closed with this, a connection ends with a reset instead of a farewell.
_NO_LINGER = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on a port of its own and passes on whatever comes. A context manager."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaos-proxy", daemon=True)
        self._ends: set[asyncio.StreamWriter] = set()
        self._passing = asyncio.Event()
        self._swallowing = False
        self._server: asyncio.Server | None = None
        self.port = 0

    @classmethod
    def to_port(cls, port: int) -> "Proxy":
        return cls(lambda: asyncio.open_connection("127.0.0.1", port))

    @classmethod
    def to_unix_socket(cls, path: str) -> "Proxy":
        return cls(lambda: asyncio.open_unix_connection(path))

    def __enter__(self) -> "Proxy":
        self._thread.start()
        self.port = self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def reset(self) -> None:
        """End every connection at once, as a router that has forgotten them does."""
        self._loop.call_soon_threadsafe(self._reset)

    def stall(self, seconds: float) -> None:
        """Nothing passes for a while, then all of it does. Returns afterwards."""
        self._run(self._stall(seconds))

    def swallow(self, seconds: float) -> None:
        """Whatever is sent for a while is lost; then the connections are reset. Returns afterwards.

        So a server may have done what it was asked, and who asked does not hear of it.
        """
        self._run(self._swallow(seconds))

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> int:
        self._passing.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._reset()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _stall(self, seconds: float) -> None:
        self._passing.clear()
        await asyncio.sleep(seconds)
        self._passing.set()

    async def _swallow(self, seconds: float) -> None:
        self._swallowing = True
        await asyncio.sleep(seconds)
        self._swallowing = False
        self._reset()

    def _reset(self) -> None:
        for end in list(self._ends):
            reset(end)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        try:
            await self._passing.wait()
            far_reader, far_writer = await self._connect()
        except OSError:
            # As if nobody listened.
            reset(writer)
            self._ends.discard(writer)
            return
        self._ends.add(far_writer)
        try:
            # Whoever closes the proxy cancels this, which asyncio's own callback takes for a failure.
            with suppress(asyncio.CancelledError):
                await self._pass_both_ways((reader, writer), (far_reader, far_writer))
        finally:
            for end in (writer, far_writer):
                self._ends.discard(end)
                end.close()

    async def _pass_both_ways(self, near: Streams, far: Streams) -> None:
        """Until either side is done."""
        ways = {
            asyncio.ensure_future(self._pass(near[0], far[1])),
            asyncio.ensure_future(self._pass(far[0], near[1])),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(_PIECE_BYTES):
            await self._passing.wait()
            if self._swallowing:
                continue
            writer.write(piece)
            await writer.drain()


def reset(end: asyncio.StreamWriter) -> None:
    """Close a connection as a crash would."""
    connection = end.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0 and connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    end.transport.abort()
