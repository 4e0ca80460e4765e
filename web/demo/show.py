"""What the demo shows: a spinner on a terminal, plain lines anywhere else."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tasks.ledger import LedgerLine
from tasks.pricing import usd_text

# A table in a log file should not be folded to the 80 columns assumed where there is no terminal.
_PLAIN_WIDTH = 140


def demo_console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)


@contextmanager
def progress(console: Console) -> Iterator[Callable[[str], None]]:
    """Yields a function that says how things stand; saying the same again shows nothing new."""
    if console.is_terminal:
        with console.status("") as status:
            yield lambda text: status.update(escape(text))
        return
    said = ""

    def say(text: str) -> None:
        nonlocal said
        if text != said:
            said = text
            console.print(escape(text), soft_wrap=True)

    yield say


def job_state(title: str, job: dict[str, Any]) -> str:
    """One job in a few words."""
    position = f", number {job['queue_position']} in the queue" if job["queue_position"] else ""
    return f"{title}: {job['status']}{position}"


def show_job(console: Console, title: str, asked: str, job: dict[str, Any]) -> None:
    """The answer, its tokens and its price."""
    output, usage, error = job["output"] or {}, job["usage"] or {}, job["error"]
    answer = output["message"]["content"] if output.get("message") else output.get("text")
    console.print(f"\n[bold]{escape(title)}[/bold] {job['id']}", soft_wrap=True)
    console.print(f"  asked      {escape(asked)}", soft_wrap=True)
    if error:
        console.print(f"  {job['status']}     {escape(error['message'])}", soft_wrap=True)
        return
    console.print(f"  answered   {escape(str(answer).strip())}", soft_wrap=True)
    console.print(
        f"  tokens     {usage['prompt_tokens']} prompt ({usage['cached_tokens']} cached), "
        f"{usage['completion_tokens']} completion, {usage['total_tokens']} in all"
    )
    console.print(f"  cost       ${job['cost_usd']}")


def show_ledger(console: Console, lines: Sequence[LedgerLine]) -> None:
    """The project's ledger, with its sum."""
    table = Table(title="\nLedger", title_justify="left", show_footer=True)
    total = sum((line.amount_usd for line in lines), Decimal(0))
    table.add_column("time")
    table.add_column("kind")
    table.add_column("job", overflow="fold")
    for heading in ("prompt", "cached", "completion"):
        table.add_column(heading, justify="right")
    table.add_column("USD", justify="right", footer=usd_text(total))
    for line in lines:
        counts = (line.prompt_tokens, line.cached_tokens, line.completion_tokens)
        table.add_row(
            f"{line.created_at:%H:%M:%S}",
            line.kind,
            line.job_id or "",
            *("" if count is None else str(count) for count in counts),
            usd_text(line.amount_usd),
        )
    console.print(table)
