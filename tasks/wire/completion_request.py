"""What a client may ask of a completion."""

from typing import Annotated

from pydantic import Field, Tag, TypeAdapter

from tasks.errors import InvalidRequest
from tasks.wire.fields import NonEmpty, Refused
from tasks.wire.generation_fields import MOST_OUTPUTS, GenerationFields, check_stream_options
from tasks.wire.inputs import INPUT_FORM, TokenIds, inputs_of

Texts = Annotated[list[NonEmpty], Field(min_length=1, max_length=MOST_OUTPUTS)]
TokenIdLists = Annotated[list[TokenIds], Field(min_length=1, max_length=MOST_OUTPUTS)]
Prompt = Annotated[
    Annotated[NonEmpty, Tag("a text")]
    | Annotated[Texts, Tag("texts")]
    | Annotated[TokenIds, Tag("tokens")]
    | Annotated[TokenIdLists, Tag("token lists")],
    INPUT_FORM,
]


class CompletionRequest(GenerationFields):
    """Continue a text, or several."""

    prompt: Prompt = Field(description="Control tokens spelled in a text are control tokens.")
    max_tokens: int | None = Field(
        None, ge=0, description="The most tokens of each text; 16 when left out, 0 only with `echo`."
    )
    echo: bool | None = Field(None, description="Put the prompt before the text.")
    logprobs: int | None = Field(
        None,
        ge=0,
        le=20,
        description="Log-probabilities of the tokens, with `echo` the prompt's too, and so many others'.",
    )
    best_of: int | None = Field(None, ge=1, le=20, description="Generate so many and return the best `n`.")
    suffix: Refused = None

    @property
    def generated_per_prompt(self) -> int:
        return self.best_of or self.n or 1


COMPLETION_REQUEST: TypeAdapter[CompletionRequest] = TypeAdapter(CompletionRequest)


def check_company(request: CompletionRequest) -> None:
    """Raises InvalidRequest for fields that contradict, or make no sense without, each other."""
    check_stream_options(request)
    n = request.n or 1
    if request.best_of is not None and request.best_of < n:
        raise InvalidRequest(f"best_of must not be below n, which is {n}.", param="best_of")
    if request.max_tokens == 0 and not request.echo:
        raise InvalidRequest("max_tokens must be above 0, except with echo.", param="max_tokens")
    if request.stream and request.generated_per_prompt > n:
        raise InvalidRequest(
            "The best of several is known at the end: it can't be streamed.", param="best_of"
        )
    if request.stream and request.echo and request.logprobs is not None:
        raise InvalidRequest("Log-probabilities of a prompt can't be streamed.", param="stream")
    outputs = len(inputs_of(request.prompt, "prompt")) * request.generated_per_prompt
    if outputs > MOST_OUTPUTS:
        raise InvalidRequest(
            f"The prompts and n or best_of ask for {outputs} texts; {MOST_OUTPUTS} are allowed.",
            param="prompt",
        )
