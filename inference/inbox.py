"""What other threads tell the thread of an engine or an encoder."""

import queue
import threading
from enum import Enum, auto
from typing import Generic, TypeVar

from inference.errors import EngineStopped

Item = TypeVar("Item")


class Message(Enum):
    SUBMIT = auto()
    CANCEL = auto()
    STOP = auto()


class Inbox(Generic[Item]):
    """Messages in order. Whatever was submitted before it closed comes out of ``get`` or ``drain``."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[tuple[Message, Item | None]] = queue.SimpleQueue()
        self._door = threading.Lock()
        self._closed = False
        self._submitted = 0
        self._received = 0

    @property
    def waiting(self) -> int:
        """How many submitted items nobody has taken yet; any thread."""
        return max(0, self._submitted - self._received)

    @property
    def empty(self) -> bool:
        return self._messages.empty()

    @property
    def closed(self) -> bool:
        return self._closed

    def submit(self, item: Item) -> None:
        """Raises EngineStopped once it is closed."""
        with self._door:
            if self._closed:
                raise EngineStopped
            self._submitted += 1
            self._messages.put((Message.SUBMIT, item))

    def cancel(self, item: Item) -> None:
        self._messages.put((Message.CANCEL, item))

    def close(self) -> None:
        """Take nothing more, and tell the thread that reads it to stop."""
        with self._door:
            self._closed = True
        self._messages.put((Message.STOP, None))

    def get(self) -> tuple[Message, Item | None]:
        """The next message, waiting for it; only STOP comes without an item."""
        message, item = self._messages.get()
        self._received += message is Message.SUBMIT
        return message, item

    def drain(self) -> list[Item]:
        """Close it; returns the items still in it, some of which may have ended."""
        with self._door:
            self._closed = True
            self._received = self._submitted
        items: list[Item] = []
        while True:
            try:
                _, item = self._messages.get_nowait()
            except queue.Empty:
                return items
            if item is not None:
                items.append(item)
