"""The metrics that the processes export, and the names in a query."""

import re

from tasks.metrics import exported_names

EXPORTED = exported_names()
HISTOGRAM_SERIES = re.compile(r"_(bucket|sum|count)$")


def exported(series: str) -> bool:
    """Whether there is a metric whose series has that name."""
    return series in EXPORTED or HISTOGRAM_SERIES.sub("", series) in EXPORTED


def series_in(query: str) -> set[str]:
    """Our series that a query reads; what rules have recorded is no metric."""
    return set(re.findall(r"\btokenmill_[a-z0-9_]+\b(?!:)", query))
