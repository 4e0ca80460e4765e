"""What finance reads: the ledger by period, exported, invoiced and verified. Nothing here writes money."""
