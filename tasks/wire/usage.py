"""Token counts in the words of chats and completions."""

from pydantic import BaseModel

from tasks.job import JobRecord


class PromptTokensDetails(BaseModel):
    """``cached_tokens`` needed no computing and cost less."""

    cached_tokens: int
    audio_tokens: int = 0


class CompletionTokensDetails(BaseModel):
    """Kinds of tokens that no model here has."""

    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class CompletionUsage(BaseModel):
    """Tokens, as the engine counted them and as they are charged."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


def completion_usage(job: JobRecord) -> CompletionUsage:
    """Of a job that has ended; nothing but zeros where nothing was handed over."""
    prompt_tokens, completion_tokens = job.billed_prompt_tokens or 0, job.completion_tokens or 0
    return CompletionUsage(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=prompt_tokens + completion_tokens,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=job.cached_tokens or 0),
        completion_tokens_details=CompletionTokensDetails(),
    )
