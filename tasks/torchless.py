"""Processes that run no model do without torch, also where it is installed.

transformers, of which they need the tokenizers, imports it wherever it finds it: seconds of every start and
hundreds of megabytes for nothing.
"""

import sys


def keep_torch_out() -> None:
    """From now on torch can't be found in this process. Called before transformers is imported."""
    if "torch" not in sys.modules:
        sys.modules["torch"] = None  # type: ignore[assignment]  # how Python is told that there is none
