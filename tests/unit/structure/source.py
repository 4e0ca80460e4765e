"""The repository's source, as the structure tests see it."""

import ast
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("web", "tasks", "inference", "migrations", "tests")
# What tools leave behind at the top; .gitignore names the same.
ARTEFACTS = ("__pycache__", "build", "dist")


@dataclass(frozen=True)
class SourceFile:
    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.name)


@cache
def python_files() -> tuple[SourceFile, ...]:
    """Every Python file there is."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return tuple(map(SourceFile, [*paths, *sorted(ROOT.glob("*.py"))]))
