"""The requests of a run: so few that each is made many times, and must lead to the same text each time."""

import random
from dataclasses import dataclass
from typing import Any

from tests.chaos.model import MODEL

_LENGTHS = (4, 4, 8, 16, 16, 32, 64, 64, 150, 300, 600, 1200)
RECIPES = 24


@dataclass(frozen=True, slots=True)
class Recipe:
    """A prompt, a seed and a length."""

    number: int
    max_tokens: int

    @property
    def prompt(self) -> str:
        return f"Recipe {self.number}: take what the mill has ground, and"

    def job(self) -> dict[str, Any]:
        """For `/v1/jobs`."""
        return {"type": "completion", "prompt": self.prompt, **self._terms()}

    def chat(self) -> dict[str, Any]:
        """For `/v1/chat/completions`."""
        return {"messages": [{"role": "user", "content": self.prompt}], **self._terms()}

    def completion(self) -> dict[str, Any]:
        """For `/v1/completions`."""
        return {"prompt": self.prompt, **self._terms()}

    def _terms(self) -> dict[str, Any]:
        return {"model": MODEL, "max_tokens": self.max_tokens, "seed": self.number, "temperature": 1}


def pick(dice: random.Random, longest: int = _LENGTHS[-1]) -> Recipe:
    """Any recipe that is no longer than that."""
    fitting = [number for number in range(RECIPES) if _LENGTHS[number % len(_LENGTHS)] <= longest]
    number = dice.choice(fitting)
    return Recipe(number, _LENGTHS[number % len(_LENGTHS)])
