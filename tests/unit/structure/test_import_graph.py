"""The rules about imports are only as good as the graph they are read from."""

from pathlib import Path

import pytest

from tests.unit.structure import import_graph, source
from tests.unit.structure.import_graph import ImportGraph
from tests.unit.structure.source import SourceFile


@pytest.fixture
def imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """The graph of two small packages."""
    for module in (source, import_graph):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    files = {
        "a/__init__.py": "",
        "a/plain.py": "import b.deep.end\nfrom b import deep\nfrom b.deep.end import thing\n",
        "a/late.py": "def f():\n    from . import plain\n    import torch\n",
        "a/typed.py": "import typing\nif typing.TYPE_CHECKING:\n    import torch\nelse:\n    import b\n",
        "b/__init__.py": "from .deep import end\n",
        "b/deep/__init__.py": "",
        "b/deep/end.py": "from .. import nothing_there\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return ImportGraph(SourceFile(tmp_path / name) for name in files).imports


def test_every_spelling_of_an_import_is_seen(imports: dict[str, set[str]]) -> None:
    assert imports["a.plain"] == {"a", "b", "b.deep", "b.deep.end"}


def test_imports_inside_functions_and_relative_ones_count(imports: dict[str, set[str]]) -> None:
    assert imports["a.late"] == {"a", "a.plain", "torch"}
    assert imports["b"] == {"b", "b.deep", "b.deep.end"}
    assert imports["b.deep.end"] == {"b", "b.deep"}


def test_imports_for_type_checkers_do_not_count(imports: dict[str, set[str]]) -> None:
    assert imports["a.typed"] == {"a", "b", "typing"}


def test_chain_of_imports_is_found() -> None:
    graph = ImportGraph([])
    graph.imports = {"a": {"b"}, "b": {"a", "c"}, "c": {"torch"}, "d": set()}
    assert graph.path_to("a", {"torch"}) == ["a", "b", "c", "torch"]
    assert graph.path_to("d", {"torch"}) is None
