"""How a run goes: a bar on a terminal, a line for each thing that happens anywhere else."""

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.chaos.plan import Fault
from tests.chaos.record import now


class Bar:
    """A context manager, as the terminal has to be given back."""

    def __init__(self, console: Console, faults: int) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._bar.add_task("", total=faults)

    def __enter__(self) -> "Bar":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def phase(self, name: str) -> None:
        self._bar.update(self._task, description=escape(name))

    def fault(self, number: int, fault: Fault) -> None:
        self._bar.update(self._task, description=escape(str(fault)), completed=number)


class Lines:
    """The same for files and other programs."""

    def __init__(self, console: Console, faults: int) -> None:
        self._console = console
        self._faults = faults

    def __enter__(self) -> "Lines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._console.file.flush()

    def phase(self, name: str) -> None:
        self._say(name)

    def fault(self, number: int, fault: Fault) -> None:
        self._say(f"{number}/{self._faults} {fault}")

    def _say(self, text: str) -> None:
        self._console.print(f"{now():7.1f} s  {escape(text)}", highlight=False, soft_wrap=True)
