"""Traces: what became of a request, from its first byte to its bill, across processes."""
