"""Flower as a program: `python -m web.flower_process`."""

import sys

from tasks.torchless import keep_torch_out


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    keep_torch_out()
    # Only now: what it imports would look for torch.
    from web import flower_server

    return flower_server.main(read_only="--read-only" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
