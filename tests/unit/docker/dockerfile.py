"""Just enough of a Dockerfile's language for ours."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.unit.docker.compose import DOCKER

DOCKERFILES = {"web": DOCKER / "web.Dockerfile", "worker": DOCKER / "worker.Dockerfile"}
CONTINUED = re.compile(r"\\\n")


@dataclass(frozen=True)
class Instruction:
    keyword: str
    arguments: str


@dataclass
class Stage:
    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, keyword: str) -> list[str]:
        return [each.arguments for each in self.instructions if each.keyword == keyword]


def stages(path: Path) -> list[Stage]:
    """What is between one FROM and the next; the last is the image."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    found: list[Stage] = []
    for line in CONTINUED.sub(" ", "\n".join(lines)).splitlines():
        keyword, _, arguments = line.strip().partition(" ")
        if keyword == "FROM":
            base, _, name = arguments.partition(" AS ")
            found.append(Stage(base, name))
        else:
            found[-1].instructions.append(Instruction(keyword, " ".join(arguments.split())))
    return found


def variables(stage: Stage) -> dict[str, str]:
    """What its ENV sets."""
    pairs = re.findall(r"([A-Z_]+)=(\S+)", " ".join(stage.all("ENV")))
    return dict(pairs)
