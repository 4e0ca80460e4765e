import subprocess
import sys

from tests.unit.structure.source import ROOT

PROGRAM = """
import sys
from tasks.torchless import keep_torch_out
keep_torch_out()
import tasks.batch_validation
import web.app
from tasks.planning import find_model, renderer_of
assert renderer_of(find_model("smollm2")).chat([{"role": "user", "content": "hi"}])
print([name for name in sys.modules if name.startswith("torch.")])
"""


def test_a_process_without_a_model_tokenizes_without_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=ROOT, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
