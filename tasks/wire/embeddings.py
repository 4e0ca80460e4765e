"""`/v1/embeddings`: from a request to a job, and from the job to the vectors."""

import base64
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, Tag, TypeAdapter

from inference.catalog import ModelSpec
from inference.embedding_tokenizer import EmbeddingTokenizer
from inference.errors import InvalidPrompt
from inference.request import SamplingParams
from tasks.errors import ContextLengthExceeded, InvalidRequest
from tasks.plan import Endpoint, JobPlan, ServiceTier
from tasks.planning import find_model
from tasks.result import JobResult
from tasks.settings import settings
from tasks.wire.fields import UNSUPPORTED, Metadata, NonEmpty, Strict
from tasks.wire.generation_fields import TIERS, Label, TierName
from tasks.wire.inputs import INPUT_FORM, Input, TokenIds, check_token_ids, inputs_of, refused_input

MOST_INPUTS = 2048

Texts = Annotated[list[NonEmpty], Field(min_length=1, max_length=MOST_INPUTS)]
TokenIdLists = Annotated[list[TokenIds], Field(min_length=1, max_length=MOST_INPUTS)]


class EmbeddingRequest(Strict):
    """Make vectors of texts."""

    model: NonEmpty = Field(description="A name or alias from `GET /v1/models`.")
    input: Annotated[
        Annotated[NonEmpty, Tag("a text")]
        | Annotated[Texts, Tag("texts")]
        | Annotated[TokenIds, Tag("tokens")]
        | Annotated[TokenIdLists, Tag("token lists")],
        INPUT_FORM,
    ] = Field(description="Token ids are those of the model without its special tokens, which are added.")
    encoding_format: Literal["float", "base64"] | None = Field(
        None, description="`base64` is of little-endian float32; `float` when left out."
    )
    dimensions: int | None = Field(
        None, ge=1, le=65_536, description="Cut the vectors short; only for models made for that."
    )
    user: Label | None = Field(None, description="Kept with the request.")
    service_tier: TierName | None = Field(None, description="Ours: how soon, and at which price.")
    metadata: Metadata | None = Field(None, description="Ours: up to 16 pairs of your own.")
    expires_in_seconds: int | None = Field(
        None, ge=1, description="Ours: the request expires when it has not ended after this long."
    )


EMBEDDING_REQUEST: TypeAdapter[EmbeddingRequest] = TypeAdapter(EmbeddingRequest)


class EmbeddingBody(BaseModel):
    """The vector of an input: numbers, or base64 where that was asked for."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    """Tokens, special ones included, as the encoder counted them and as they are charged."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingListBody(BaseModel):
    """The vectors, in the order of the inputs."""

    object: Literal["list"] = "list"
    data: list[EmbeddingBody]
    model: str
    usage: EmbeddingUsage


def embedding_plan(request: EmbeddingRequest) -> JobPlan:
    """Raises UnknownModelRequested, ModelNotSupported, InvalidRequest, ContextLengthExceeded."""
    spec = find_model(request.model, task="embed")
    tokenizer = EmbeddingTokenizer.for_model(spec, settings().model_cache_dir)
    _check_dimensions(request.dimensions, spec, tokenizer)
    return JobPlan(
        endpoint=Endpoint.EMBEDDINGS,
        type="embedding",
        spec=spec,
        request=request.model_dump(mode="json", exclude={"metadata"}, exclude_unset=True),
        prompts=tuple(
            _tokenize(one, param, tokenizer, spec) for param, one in inputs_of(request.input, "input")
        ),
        params=SamplingParams(max_tokens=0),
        service_tier=TIERS.get(request.service_tier or "", ServiceTier.DEFAULT),
        metadata=request.metadata or {},
        expires_in_seconds=request.expires_in_seconds,
    )


def embedding_body(result: JobResult) -> EmbeddingListBody:
    """The vectors of a completed job."""
    encode = _base64 if result.request.get("encoding_format") == "base64" else _numbers
    vectors = () if result.vectors is None else result.vectors
    tokens = result.job.billed_prompt_tokens or 0
    return EmbeddingListBody(
        data=[EmbeddingBody(index=index, embedding=encode(vector)) for index, vector in enumerate(vectors)],
        model=result.job.model,
        usage=EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens),
    )


def _check_dimensions(dimensions: int | None, spec: ModelSpec, tokenizer: EmbeddingTokenizer) -> None:
    if dimensions is None:
        return
    if not spec.matryoshka:
        raise InvalidRequest(
            f"Unsupported parameter: 'dimensions'. The vectors of {spec.name} can't be cut short.",
            param="dimensions",
            code=UNSUPPORTED,
        )
    if tokenizer.width is not None and dimensions > tokenizer.width:
        raise InvalidRequest(
            f"The vectors of {spec.name} have {tokenizer.width} dimensions.", param="dimensions"
        )


def _numbers(vector: NDArray[np.float32]) -> list[float]:
    numbers: list[float] = vector.tolist()
    return numbers


def _base64(vector: NDArray[np.float32]) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _tokenize(one: Input, param: str, tokenizer: EmbeddingTokenizer, spec: ModelSpec) -> tuple[int, ...]:
    try:
        if isinstance(one, str):
            token_ids = tokenizer.encode(one)
        else:
            check_token_ids(one, tokenizer.vocabulary_size, param)
            token_ids = tokenizer.enclose(one)
    except InvalidPrompt as error:
        raise refused_input(error, param) from error
    if len(token_ids) > spec.context_length:
        raise ContextLengthExceeded(
            f"This model's context length is {spec.context_length} tokens; '{param}' has {len(token_ids)}.",
            param=param,
        )
    return tuple(token_ids)
