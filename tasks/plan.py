"""What a validated request asks of the platform, whichever endpoint it came to."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from inference.catalog import ModelSpec
from inference.request import SamplingParams

JobType = Literal["chat", "completion", "response", "embedding"]


class Endpoint(StrEnum):
    """Where a job came in; a batch line has the endpoint of its batch."""

    JOBS = "/v1/jobs"
    CHAT_COMPLETIONS = "/v1/chat/completions"
    COMPLETIONS = "/v1/completions"
    RESPONSES = "/v1/responses"
    EMBEDDINGS = "/v1/embeddings"


class ServiceTier(StrEnum):
    """How a job is ranked in the queue, and at which price. The last is for lines of batches alone."""

    PRIORITY = "priority"
    DEFAULT = "default"
    FLEX = "flex"
    BATCH = "batch"

    @property
    def rank(self) -> int:
        """The place of its jobs in the queue; lower ones run first."""
        return list(ServiceTier).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """A job to be: pure data, made by a module of ``tasks.wire`` and admitted by ``tasks.admission``.

    ``request`` is the validated body as JSON without its metadata, kept with the job; with the metadata
    it is what two posts with one idempotency key must agree in. ``prompts`` are token
    ids, a list for each prompt (or input to embed), each to be continued ``n`` times, of which
    ``best_of`` are generated. ``params.seed`` is ignored: ``seed`` counts, None draws one.
    ``stored`` is whether the client may read it later under its endpoint's own address; a job that is
    not ends when its waiting client goes away.
    """

    endpoint: Endpoint
    type: JobType
    spec: ModelSpec
    request: dict[str, Any]
    prompts: tuple[tuple[int, ...], ...]
    params: SamplingParams
    n: int = 1
    best_of: int = 1
    seed: int | None = None
    service_tier: ServiceTier = ServiceTier.DEFAULT
    metadata: dict[str, str] = field(default_factory=dict)
    expires_in_seconds: int | None = None
    stored: bool = False
    conversation_id: str | None = None

    @property
    def prompt_tokens(self) -> int:
        return sum(map(len, self.prompts))

    @property
    def outputs(self) -> int:
        """How many texts the job returns."""
        return len(self.prompts) * self.n

    @property
    def most_output_tokens(self) -> int:
        """What the hold is taken for."""
        return len(self.prompts) * self.best_of * self.params.max_tokens
