"""Plans without an endpoint, for tests about what becomes of them."""

from inference.request import SamplingParams
from tasks.plan import Endpoint, JobPlan, JobType, ServiceTier
from tasks.planning import find_model

TYPES: dict[Endpoint, JobType] = {
    Endpoint.JOBS: "completion",
    Endpoint.COMPLETIONS: "completion",
    Endpoint.CHAT_COMPLETIONS: "chat",
    Endpoint.RESPONSES: "response",
    Endpoint.EMBEDDINGS: "embedding",
}


def make_plan(
    *,
    model: str = "smollm2-135m-instruct",
    endpoint: Endpoint = Endpoint.COMPLETIONS,
    prompts: tuple[tuple[int, ...], ...] = ((1, 2, 3),),
    params: SamplingParams | None = None,
    n: int = 1,
    best_of: int | None = None,
    tier: ServiceTier = ServiceTier.DEFAULT,
    request: dict[str, object] | None = None,
) -> JobPlan:
    """A plan for the packaged model."""
    spec = find_model(model, task="embed" if endpoint is Endpoint.EMBEDDINGS else "generate")
    return JobPlan(
        endpoint=endpoint,
        type=TYPES[endpoint],
        spec=spec,
        request={"model": model} if request is None else request,
        prompts=prompts,
        params=params or SamplingParams(max_tokens=8),
        n=n,
        best_of=best_of or n,
        service_tier=tier,
    )
