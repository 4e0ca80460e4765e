import pytest

from inference.prompts import PromptRenderer
from tasks.planning import find_model, renderer_of


@pytest.fixture(scope="session")
def renderer() -> PromptRenderer:
    """That of the packaged model."""
    return renderer_of(find_model("smollm2"))
