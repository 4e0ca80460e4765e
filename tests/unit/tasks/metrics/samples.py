"""What a page of metrics says."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from tasks.metrics.exposition import exposition

Series = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Page:
    """The values on a page, by the name of their series and its labels."""

    values: dict[Series, float]
    families: frozenset[str]

    @classmethod
    def parse(cls, content: str) -> "Page":
        families = list(text_string_to_metric_families(content))
        samples = [sample for family in families for sample in family.samples]
        values = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
        assert len(values) == len(samples), "a series is there twice"
        return cls(values, frozenset(_type_name(family.name, family.type) for family in families))

    def of(self, name: str, **labels: str) -> float:
        """The value of a series; 0 where it is not there yet."""
        return self.values.get((f"tokenmill_{name}", frozenset(labels.items())), 0)

    def has(self, name: str, **labels: str) -> bool:
        return (f"tokenmill_{name}", frozenset(labels.items())) in self.values

    def labels_of(self, name: str, label: str) -> set[str]:
        """The values of a label among the series of a name."""
        return {
            value
            for series, labels in self.values
            if series == f"tokenmill_{name}"
            for key, value in labels
            if key == label
        }


def _type_name(name: str, kind: str) -> str:
    return f"{name}_total" if kind == "counter" else name


def page() -> Page:
    """Of this process, now."""
    return Page.parse(exposition().decode())


class Growth:
    """How much series grew since a moment."""

    def __init__(self) -> None:
        self.before = self.after = page()

    def of(self, name: str, **labels: str) -> float:
        return self.after.of(name, **labels) - self.before.of(name, **labels)


@contextmanager
def growth() -> Iterator[Growth]:
    """Of what happens inside; to be asked afterwards."""
    found = Growth()
    yield found
    found.after = page()
