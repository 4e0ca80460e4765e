"""How this process stands."""

from tasks import circuit
from tasks.metrics import circuits, database


def note_process() -> None:
    """Look, and remember for whoever asks this process or one that shares with it.

    Cheap enough for the end of every request.
    """
    database.note_pool()
    circuits.note(circuit.states())
