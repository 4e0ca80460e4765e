"""A worker that one prompt kills: `python -m tests.integration.processes.poisoned_worker`.

As soon as a step is to compute the prompt that ``TOKENMILL_TEST_POISON`` ends with, the process is gone.
"""

import os
import signal
from collections.abc import Sequence

from inference.runner import ModelRunner, Sampled
from inference.scheduler import Work
from tasks.app import app
from tasks.planning import find_model, renderer_of
from tasks.settings import settings


def main() -> None:
    spec = find_model(settings().served_model().name)
    poison = tuple(renderer_of(spec).completion(os.environ["TOKENMILL_TEST_POISON"]))
    run_well = ModelRunner.run

    def run(self: ModelRunner, work: Sequence[Work]) -> list[Sampled]:
        if any(tuple(item.sequence.request.prompt_token_ids) == poison for item in work):
            os.kill(os.getpid(), signal.SIGKILL)
        return run_well(self, work)

    ModelRunner.run = run  # type: ignore[method-assign]
    app.worker_main(["worker", "-n", "poisoned@%h", "--without-gossip", "--without-mingle"])


if __name__ == "__main__":
    main()
