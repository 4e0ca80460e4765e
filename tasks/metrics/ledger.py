"""Whether the books were right when somebody last looked."""

from tasks.metrics import instruments
from tasks.metrics.families.scheduler import LEDGER_CHECKED, LEDGER_CONSERVED


def note_checked(*, conserved: bool) -> None:
    instruments.gauge(LEDGER_CONSERVED).set(conserved)
    instruments.gauge(LEDGER_CHECKED).set_to_current_time()
