"""Imports go web → tasks → inference, and torch stays in the worker."""

import subprocess
import sys
from functools import cache

import pytest

from tests.unit.structure.import_graph import ImportGraph
from tests.unit.structure.source import ROOT, python_files

# A layer may import itself and those after it.
LAYERS = ("web", "tasks", "inference")
FOREIGN = {
    "inference": {"flask", "celery", "kombu", "sqlalchemy", "alembic", "psycopg2", "redis"},
    "tasks": {"flask", "werkzeug", "gunicorn"},
    "web": {"torch", "bitsandbytes", "accelerate", "safetensors"},
}
TORCH = {"torch", "bitsandbytes", "accelerate"}
# What `inference` offers to those who hold no model.
FOR_ALL = {"inference", "inference.catalog", "inference.prompts", "inference.request", "inference.errors"} | {
    "inference.catalog_prices",
    "inference.choices",
    "inference.detokenize",
    "inference.embedding_request",
    "inference.embedding_tokenizer",
    "inference.grammar",
    "inference.output_grammar",
    "inference.output_parser",
    "inference.tool_format",
    "inference.tools",
    "inference.transcript",
}
# Where Celery enters the worker's code, by name and in the worker's process only.
WORKER_ENTRIES = {"tasks.generate", "tasks.worker"}

IMPORT_WITHOUT_TORCH = f"""
import sys

class WithoutTorch:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {TORCH!r} else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [WithoutTorch(finder) for finder in sys.meta_path]
from web.app import create_app
assert create_app().test_client().get("/healthz").status_code == 200
print("\\n".join(sys.modules))
"""


@cache
def graph() -> ImportGraph:
    return ImportGraph(source for source in python_files() if not source.name.startswith("tests/"))


def in_package(package: str) -> set[str]:
    return {module for module in graph().modules if module.partition(".")[0] == package}


@cache
def engine_side() -> set[str]:
    """Torch, and every module of inference that leads to it."""
    return TORCH | {module for module in in_package("inference") if graph().path_to(module, TORCH)}


@cache
def worker_side() -> set[str]:
    """The worker's entries, and the modules of tasks that nobody but they, or such modules, import."""
    side = set(WORKER_ENTRIES)
    while more := {
        module
        for module in in_package("tasks") - side
        if (importers := graph().importers(module)) and importers <= side
    }:
        side |= more
    return side


@pytest.mark.parametrize("layer", LAYERS)
def test_no_layer_imports_the_one_above_it(layer: str) -> None:
    above = set(LAYERS[: LAYERS.index(layer)])
    wrong = {
        module: sorted(bad)
        for module in in_package(layer)
        if (bad := {name for name in graph().imports[module] if name.partition(".")[0] in above})
    }
    assert wrong == {}


@pytest.mark.parametrize("layer", LAYERS)
def test_no_layer_imports_what_belongs_to_another(layer: str) -> None:
    wrong = {
        module: sorted(bad)
        for module in in_package(layer)
        if (bad := {name for name in graph().imports[module] if name.partition(".")[0] in FOREIGN[layer]})
    }
    assert wrong == {}


def test_web_reaches_neither_torch_nor_the_engine() -> None:
    producers = in_package("web") | in_package("celeryconfig")
    chains = [chain for module in producers if (chain := graph().path_to(module, engine_side()))]
    assert chains == []


def test_what_inference_offers_to_all_leads_to_no_torch() -> None:
    assert FOR_ALL.isdisjoint(engine_side())


def test_the_engine_is_on_its_own_side() -> None:
    """Otherwise the tests around this one would hold whatever is imported."""
    assert {"inference.engine", "inference.loader"} <= engine_side()


def test_outside_the_worker_only_the_open_part_of_inference_is_used() -> None:
    wrong = {
        module: sorted(bad)
        for module in (in_package("web") | in_package("tasks") | in_package("celeryconfig")) - worker_side()
        if (bad := (graph().imports[module] & in_package("inference")) - FOR_ALL)
    }
    assert wrong == {}


def test_only_the_worker_reaches_the_engine() -> None:
    others = in_package("tasks") - worker_side()
    chains = [chain for module in others if (chain := graph().path_to(module, engine_side()))]
    assert chains == []


@cache
def loaded_by_the_web_app() -> set[str]:
    """The modules of a process that has served a request without torch."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_WITHOUT_TORCH],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_web_app_serves_where_torch_is_not_installed() -> None:
    assert engine_side().isdisjoint(loaded_by_the_web_app())


def test_no_tracer_is_loaded_where_tracing_is_off() -> None:
    assert not [name for name in loaded_by_the_web_app() if name.startswith("opentelemetry")]
