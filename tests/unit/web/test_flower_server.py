"""Flower ends when told to, whatever it is at."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, signal
from flower.command import sigterm_handler
from tornado.ioloop import IOLoop
from web import flower_server

class Collected:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        # A handler of Python's runs between two instructions, so here at the latest.
        print("collected", flush=True)

loop = IOLoop.current()
if {with_ours}:
    loop.add_callback(flower_server._end_at_sigterm)
signal.signal(signal.SIGTERM, sigterm_handler)
loop.add_callback(Collected)
loop.call_later(30 if {with_ours} else 0.1, lambda: (print("went on", flush=True), loop.stop()))
loop.start()
print("ended", flush=True)
"""


def run(tmp_path: Path, *, with_ours: bool) -> str:
    program = PROGRAM.format(with_ours=with_ours)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sigterm_in_a_finalizer_ends_flower(tmp_path: Path) -> None:
    assert run(tmp_path, with_ours=True).split() == ["collected", "ended"]


def test_flowers_own_handler_is_lost_in_a_finalizer(tmp_path: Path) -> None:
    """When this fails, Flower has mended it, and our handler can go."""
    assert "went on" in run(tmp_path, with_ours=False)
