"""Who imports whom, read from the source: imports inside functions count, those for type checkers don't."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.unit.structure.source import ROOT, SourceFile


class ImportGraph:
    """From a module of ours to everything it imports, by dotted name.

    Importing ``a.b`` runs ``a`` too, so both are there. What is not ours is there by its full name.
    """

    def __init__(self, sources: Iterable[SourceFile]) -> None:
        self._trees = {module_name(source.path): source for source in sources}
        self.imports = {name: set(self._imported(name, source)) for name, source in self._trees.items()}

    @property
    def modules(self) -> set[str]:
        return set(self.imports)

    def importers(self, module: str) -> set[str]:
        return {name for name, imported in self.imports.items() if module in imported}

    def path_to(self, start: str, targets: set[str]) -> list[str] | None:
        """A shortest chain of imports from a module to one of the targets."""
        chains = [[start]]
        seen = {start}
        for chain in chains:
            if chain[-1] in targets:
                return chain
            fresh = sorted(self.imports.get(chain[-1], set()) - seen)
            seen.update(fresh)
            chains += [[*chain, module] for module in fresh]
        return None

    def _imported(self, name: str, source: SourceFile) -> Iterator[str]:
        for node in runtime_nodes(source.tree):
            for target in self._targets(node, name, source.path):
                yield from with_parents(target)
        yield from with_parents(name.rpartition(".")[0])

    def _targets(self, node: ast.AST, name: str, path: Path) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, name, is_package=path.name == "__init__.py")
            yield base
            # `from tasks import jobs` imports a module, `from tasks.jobs import submit` does not.
            yield from (full for alias in node.names if (full := f"{base}.{alias.name}") in self._trees)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def absolute(node: ast.ImportFrom, importer: str, *, is_package: bool) -> str:
    """The full name of what an import, maybe a relative one, is from."""
    if node.level == 0:
        return node.module or ""
    package = importer.split(".")
    kept = len(package) - node.level + (1 if is_package else 0)
    return ".".join([*package[:kept], *([node.module] if node.module else [])])


def with_parents(module: str) -> Iterator[str]:
    parts = module.split(".") if module else []
    yield from (".".join(parts[: length + 1]) for length in range(len(parts)))


def runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The tree, without what stands under ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for statement in child.orelse:
                yield statement
                yield from runtime_nodes(statement)
            continue
        yield child
        yield from runtime_nodes(child)
