"""Steps that every endpoint takes from a validated body to a plan. They refuse by naming the field."""

from collections.abc import Sequence

from inference.catalog import ModelSpec, Task
from inference.errors import InvalidGeneration, UnknownModel
from inference.grammar import check_grammar
from inference.prompts import PromptRenderer
from inference.request import Grammar
from tasks.errors import ContextLengthExceeded, InvalidRequest, ModelNotSupported, UnknownModelRequested
from tasks.settings import settings

_WHAT_FOR: dict[Task, str] = {"generate": "it can't embed", "embed": "it can't generate"}


def find_model(name: str, *, task: Task = "generate") -> ModelSpec:
    """A model of the catalogue by its name or an alias. Raises UnknownModelRequested, ModelNotSupported."""
    try:
        spec = settings().model_catalog().get(name)
    except UnknownModel:
        raise UnknownModelRequested(f"The model {name!r} does not exist.", param="model") from None
    if spec.task != task:
        kind = "an embedding model" if spec.task == "embed" else "a generating model"
        raise ModelNotSupported(f"{spec.name} is {kind}: {_WHAT_FOR[spec.task]}.", param="model")
    return spec


def renderer_of(spec: ModelSpec) -> PromptRenderer:
    """The model's tokenizer and chat template. Raises ModelLoadError."""
    return PromptRenderer.for_model(spec, settings().model_cache_dir)


def room_for(spec: ModelSpec, prompt_tokens: int, asked: int | None, *, param: str, asked_param: str) -> int:
    """How many tokens may be generated: as many as asked for, or the default where they fit.

    ``param`` names the prompt's field, ``asked_param`` that of the number asked for. Raises
    ContextLengthExceeded.
    """
    room = spec.context_length - prompt_tokens
    if room < (1 if asked is None else min(asked, 1)):
        raise ContextLengthExceeded(
            f"This model's context length is {spec.context_length} tokens; "
            f"the prompt alone has {prompt_tokens}.",
            param=param,
        )
    if asked is None:
        return min(settings().default_max_tokens, room)
    if asked > room:
        raise ContextLengthExceeded(
            f"This model's context length is {spec.context_length} tokens; the prompt's {prompt_tokens} and "
            f"{asked_param} {asked} are {prompt_tokens + asked}.",
            param=asked_param,
        )
    return asked


def longest(prompts: Sequence[Sequence[int]]) -> int:
    """The tokens of the longest prompt."""
    return max(map(len, prompts), default=0)


def checked(grammar: Grammar, param: str) -> Grammar:
    """A grammar that can be followed. Raises InvalidRequest."""
    try:
        check_grammar(grammar)
    except InvalidGeneration as error:
        raise InvalidRequest(f"Invalid '{param}': {error}", param=param) from error
    return grammar
