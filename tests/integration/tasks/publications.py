"""A queue of slices without a broker."""

from collections.abc import Sequence


class Publications(list[tuple[str, str, bool]]):
    """The slices that were published, in place of a broker."""

    def publish(self, published: Sequence[tuple[str, str, bool]]) -> None:
        self.extend(published)

    def take(self) -> list[tuple[str, bool]]:
        """What came since the last time."""
        taken = [(slice_id, alone) for slice_id, _, alone in self]
        self.clear()
        return taken
