import pytest

from web.durations import duration_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-1, "0s"),
        (0.0001, "1ms"),
        (0.25, "250ms"),
        (0.9999, "1s"),
        (1, "1s"),
        (1.2, "2s"),
        (59.5, "1m0s"),
        (360, "6m0s"),
        (3600, "1h0m0s"),
        (3905.5, "1h5m6s"),
    ],
)
def test_duration_is_written_as_clients_expect(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
