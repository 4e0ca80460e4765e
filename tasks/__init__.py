"""Durable state, the queue and the worker. Knows no Flask."""
