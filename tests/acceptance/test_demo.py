from pathlib import Path

import pytest

from tests.acceptance.conftest import RunTokenmill


@pytest.mark.embedded("the demo brings a platform of its own")
@pytest.mark.timeout(600)
def test_demo_answers_bills_and_stops_twice_in_a_row(tokenmill: RunTokenmill, data_dir: Path) -> None:
    for _ in range(2):
        result = tokenmill("demo", "--data-dir", str(data_dir))
        assert result.returncode == 0, result.stderr
        assert "Paris" in result.stdout
        assert "Chat job: completed" in result.stdout
        assert "Completion job: completed" in result.stdout
        assert "cost       $0.0" in result.stdout
        assert result.stdout.count("charge") == 2
        assert result.stdout.rstrip().endswith("Everything is stopped.")
        assert "Traceback" not in result.stderr
    assert not (data_dir / "postgres" / "postmaster.pid").exists()
