"""Which model a process runs as a worker."""

from pathlib import Path

import pytest

from inference.errors import UnknownModel
from tasks.errors import ModelNotSupported
from tasks.settings import Settings

WORDS = """
[models.words]
source = "org/words"
task = "embed"
context_length = 128
prices = { input_usd = 1 }
"""
STORIES = """
[models.stories]
source = "org/stories"
context_length = 128
prices = { input_usd = 1, cached_input_usd = 1, output_usd = 1 }
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    path = tmp_path / "models.toml"
    path.write_text(WORDS + STORIES, "utf-8")
    return path


def test_a_worker_runs_the_first_model_that_generates(catalog: Path) -> None:
    served = Settings(catalog=catalog, worker_model=None)
    assert served.served_model().name == "stories"
    assert [spec.name for spec in served.generating_models()] == ["stories"]


def test_a_worker_runs_an_embedding_model_only_when_told_to(catalog: Path) -> None:
    assert Settings(catalog=catalog, worker_model="words").served_model().name == "words"


def test_in_one_process_what_embeds_runs_beside_the_workers_model(catalog: Path) -> None:
    models = Settings(catalog=catalog, worker_model=None).embedded_models()
    assert [spec.name for spec in models] == ["stories", "words"]
    alone = Settings(catalog=catalog, worker_model="words").embedded_models()
    assert [spec.name for spec in alone] == ["words"]


def test_a_worker_does_not_run_what_is_not_there(catalog: Path) -> None:
    with pytest.raises(UnknownModel, match="'tales'"):
        Settings(catalog=catalog, worker_model="tales").served_model()


def test_without_a_model_that_generates_there_is_none_to_run(catalog: Path) -> None:
    catalog.write_text(WORDS, "utf-8")
    with pytest.raises(ModelNotSupported, match="no model that generates"):
        Settings(catalog=catalog, worker_model=None).served_model()
