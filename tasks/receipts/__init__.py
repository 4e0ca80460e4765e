"""Receipts: what was charged for a job, chained by hash to the project's receipt before it, and signed."""
