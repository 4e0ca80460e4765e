"""The whole command, on as little work as it takes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.engines.lineup import ROOT


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(600)
def test_engines_are_compared_on_the_same_prompts_in_one_go(tmp_path: Path) -> None:
    engines = ["ours-fp32", "transformers-static-64"]
    found = tmp_path / "found.json"
    work = ["--workloads", "uniform,sampled", "--scale", "0.02", "--rounds", "1", "--no-limits"]
    arguments = ["--engines", ",".join(engines), *work, "--markdown", "--json", str(found)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.engine", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(found.read_text())
    assert results["failures"] == []
    assert {run["engine"] for run in results["measurements"]} == set(engines)
    assert {run["workload"] for run in results["measurements"]} == {"uniform", "sampled"}
    assert all(run["tokens"] == run["expected_tokens"] for run in results["measurements"])
    assert "### uniform: output tokens a second" in done.stdout
