import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.unit.structure.source import ARTEFACTS, ROOT, SourceFile, python_files

FOLDERS = {"web", "tasks", "inference", "migrations", "tests", "docker"}
FILES = {"celeryconfig.py", "setup.cfg", "README.md", "pyproject.toml", "Makefile"}
VAGUE_NAMES = {"util", "utils", "helper", "helpers", "common", "misc"}
LINES_IN_A_FILE = 400
LINES_IN_A_FUNCTION = 60
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def top_level() -> Iterator[Path]:
    for path in ROOT.iterdir():
        if not (path.name.startswith(".") or path.name in ARTEFACTS or path.suffix == ".egg-info"):
            yield path


def functions(source: SourceFile) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def is_empty(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def comments(source: SourceFile) -> Iterator[tokenize.TokenInfo]:
    with source.path.open("rb") as file:
        yield from (token for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT)


def test_top_level_holds_only_what_the_design_lists() -> None:
    strangers = [
        path.name
        for path in top_level()
        if not (path.name in (FOLDERS if path.is_dir() else FILES) or path.suffix == ".lock")
    ]
    assert strangers == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    vague = [
        source.name
        for source in python_files()
        if VAGUE_NAMES.intersection(Path(source.name).with_suffix("").parts)
    ]
    assert vague == []


def test_files_are_short() -> None:
    long = {
        source.name: lines
        for source in python_files()
        if (lines := len(source.text.splitlines())) > LINES_IN_A_FILE
    }
    assert long == {}


def test_functions_are_short() -> None:
    long = {
        f"{source.name}:{function.name}": lines
        for source in python_files()
        for function in functions(source)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > LINES_IN_A_FUNCTION
    }
    assert long == {}


def test_nothing_is_left_for_later() -> None:
    found = [
        f"{source.name}:{comment.start[0]}"
        for source in python_files()
        for comment in comments(source)
        if UNFINISHED.search(comment.string)
    ]
    assert found == []


def test_no_error_is_swallowed_without_a_word() -> None:
    swallowed = [
        f"{source.name}:{node.lineno}"
        for source in python_files()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ExceptHandler) and all(map(is_empty, node.body))
    ]
    assert swallowed == []


def test_the_three_packages_are_typed() -> None:
    untyped = [
        package for package in ("web", "tasks", "inference") if not (ROOT / package / "py.typed").is_file()
    ]
    assert untyped == []
