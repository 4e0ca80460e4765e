"""The scheduler as a program: `python -m tasks.scheduler_process`."""

import sys

from tasks.torchless import keep_torch_out


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    keep_torch_out()
    # Only now: what it imports would look for torch.
    from tasks import scheduler

    return scheduler.main()


if __name__ == "__main__":
    sys.exit(main())
