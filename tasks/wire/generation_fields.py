"""What chats and completions are asked for apart from the sampling: streams, tiers, names of users."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from tasks.errors import InvalidRequest
from tasks.plan import ServiceTier
from tasks.wire.fields import Metadata, NonEmpty, Strict, Text
from tasks.wire.sampling import SamplingFields

TIERS = {"priority": ServiceTier.PRIORITY, "fast": ServiceTier.PRIORITY, "flex": ServiceTier.FLEX}
MOST_OUTPUTS = 128

TierName = Literal["auto", "default", "flex", "priority", "fast"]
Label = Annotated[Text, StringConstraints(max_length=512)]


class StreamOptions(Strict):
    """How a stream is shown."""

    include_usage: bool | None = Field(None, description="A last chunk with the usage.")
    include_obfuscation: Literal[False] | None = Field(None, description="Not done here: `false` or nothing.")


class TierFields(Strict):
    """How soon a request runs, and at which price."""

    service_tier: TierName | None = Field(
        None, description="How soon, and at which price. `fast` is another name of `priority`."
    )

    @property
    def tier(self) -> ServiceTier:
        return TIERS.get(self.service_tier or "", ServiceTier.DEFAULT)


class GenerationFields(SamplingFields, TierFields):
    """The fields of a request to generate, whatever its prompt."""

    model: NonEmpty = Field(description="A name or alias from `GET /v1/models`.")
    n: int | None = Field(None, ge=1, le=20, description="How many outputs for each prompt.")
    stream: bool | None = Field(None, description="Answer with server-sent events.")
    stream_options: StreamOptions | None = Field(None, description="Only with `stream`.")
    user: Label | None = Field(None, description="Kept with the request.")
    metadata: Metadata | None = Field(None, description="Up to 16 pairs of your own.")
    expires_in_seconds: int | None = Field(
        None, ge=1, description="Ours: the request expires when it has not ended after this long."
    )

    @property
    def includes_usage(self) -> bool:
        return self.stream_options is not None and bool(self.stream_options.include_usage)


def check_stream_options(fields: GenerationFields) -> None:
    """Raises InvalidRequest for options of a stream that is not asked for."""
    if fields.stream_options is not None and not fields.stream:
        raise InvalidRequest("stream_options is only allowed with stream.", param="stream_options")
