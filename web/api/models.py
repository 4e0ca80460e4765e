"""`/v1/models`: what can be asked, in OpenAI's shape, with context lengths and prices."""

from typing import Annotated, Literal

from flask import Blueprint, Response
from pydantic import BaseModel, Field

from inference.catalog import ModelSpec, Task
from inference.errors import UnknownModel
from tasks.errors import UnknownModelRequested
from tasks.pricing import usd_text
from tasks.principal import may_use
from tasks.settings import settings
from web import auth
from web.openapi import Operation, Reply, documented

blueprint = Blueprint("models", __name__, url_prefix="/v1/models")


class ModelPrices(BaseModel):
    """US dollars for a million tokens, as decimal strings. Embeddings have no output: there it is 0."""

    input_usd: str
    cached_input_usd: str
    output_usd: str


class ModelBody(BaseModel):
    """A model."""

    id: str
    object: Literal["model"] = "model"
    created: Annotated[
        int, Field(description="Always 0: the catalogue does not say when a model came out.")
    ] = 0
    owned_by: str = "tokenmill"
    aliases: list[str]
    revision: str | None = Field(
        description="The revision of its weights that is pinned; then `NAME@REVISION` names the model too."
    )
    task: Task = Field(description="What it is for: to generate text, or to embed it.")
    context_length: int = Field(
        description="Prompt and output together, in tokens; of an embedding model, one input."
    )
    prices: ModelPrices


class ModelListBody(BaseModel):
    """Every model that the key may use."""

    object: Literal["list"] = "list"
    data: list[ModelBody]


@blueprint.get("")
@documented(
    Operation(
        tag="Models",
        summary="List the models",
        replies={200: Reply("Every model that the key may use.", ModelListBody)},
        refusals=(429,),
    )
)
def index() -> Response:
    models = settings().model_catalog().models.values()
    return _render(ModelListBody(data=[_body(spec) for spec in models if _is_allowed(spec)]))


@blueprint.get("/<path:model>")
@documented(
    Operation(
        tag="Models",
        summary="Read a model",
        description="By its name, an alias, or `NAME@REVISION` where a revision is pinned.",
        replies={200: Reply("The model.", ModelBody)},
        refusals=(404, 429),
    )
)
def read(model: str) -> Response:
    unknown = UnknownModelRequested(f"The model {model!r} does not exist.", param="model")
    try:
        spec = settings().model_catalog().get(model)
    except UnknownModel:
        raise unknown from None
    if not _is_allowed(spec):
        raise unknown
    return _render(_body(spec))


def _is_allowed(spec: ModelSpec) -> bool:
    return may_use(auth.principal().models, spec.name)


def _body(spec: ModelSpec) -> ModelBody:
    return ModelBody(
        id=spec.name,
        aliases=list(spec.aliases),
        revision=spec.revision,
        task=spec.task,
        context_length=spec.context_length,
        prices=ModelPrices(
            input_usd=usd_text(spec.prices.input_usd),
            cached_input_usd=usd_text(spec.prices.cached_input_usd),
            output_usd=usd_text(spec.prices.output_usd),
        ),
    )


def _render(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), mimetype="application/json")
