"""How a client asks for tokens to be chosen: the fields that chats and completions share."""

from typing import Annotated

from pydantic import Field, StringConstraints

from inference.errors import InvalidPrompt
from inference.prompts import PromptRenderer
from inference.request import Grammar, SamplingParams
from tasks.errors import InvalidRequest
from tasks.wire.fields import MAX_SEED, Stop, StopString, Strict, stop_strings
from tasks.wire.inputs import TokenId, check_token_id, refused_input

MOST_TOKENS_OF_A_BAD_WORD = 64

TokenKey = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")]
Bias = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
Penalty = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
PositiveShare = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class SamplingFields(Strict):
    """Those of the OpenAI API, then ours, which have the names that vLLM gives them."""

    temperature: float | None = Field(
        None, ge=0, le=2, allow_inf_nan=False, description="0 is greedy; 1 when left out."
    )
    top_p: PositiveShare | None = Field(None, description="Nucleus sampling.")
    frequency_penalty: Penalty | None = Field(None, description="Taken off per occurrence in the output.")
    presence_penalty: Penalty | None = Field(None, description="Taken off once, of what is in the output.")
    logit_bias: dict[TokenKey, Bias] | None = Field(
        None, max_length=5000, description="Token ids, and what is added to their logits."
    )
    seed: int | None = Field(
        None, ge=-MAX_SEED - 1, le=MAX_SEED, description="The same seed gives the same sample."
    )
    stop: Stop | None = Field(
        None, description="Up to four strings; the text ends before the first that appears."
    )
    top_k: int | None = Field(None, ge=-1, le=2**31, description="Ours: 0 and -1 keep every token.")
    min_p: Share | None = Field(None, description="Ours: the share of the likeliest token's probability.")
    typical_p: PositiveShare | None = Field(None, description="Ours: locally typical sampling.")
    repetition_penalty: float | None = Field(
        None, ge=0.01, le=100, allow_inf_nan=False, description="Ours: 1 is none."
    )
    min_tokens: int | None = Field(None, ge=0, description="Ours: before, nothing ends the output.")
    stop_token_ids: list[TokenId] | None = Field(
        None, max_length=1000, description="Ours: tokens that end the output."
    )
    ignore_eos: bool | None = Field(None, description="Ours: end-of-text does not end the output.")
    bad_words: list[StopString] | None = Field(
        None, max_length=500, description="Ours: texts that are never completed."
    )


def sampling_params(
    fields: SamplingFields,
    renderer: PromptRenderer,
    *,
    max_tokens: int,
    logprobs: int | None = None,
    prompt_logprobs: int | None = None,
    grammar: Grammar | None = None,
) -> SamplingParams:
    """What the engine is asked for. Raises InvalidRequest naming the field."""
    min_tokens = fields.min_tokens or 0
    if min_tokens > max_tokens:
        raise InvalidRequest(
            f"min_tokens must not be above {max_tokens}, the most tokens.", param="min_tokens"
        )
    return SamplingParams(
        max_tokens=max_tokens,
        temperature=_or(fields.temperature, 1.0),
        top_p=_or(fields.top_p, 1.0),
        stop=stop_strings(fields.stop),
        top_k=max(0, fields.top_k or 0),
        min_p=fields.min_p or 0.0,
        typical_p=_or(fields.typical_p, 1.0),
        repetition_penalty=_or(fields.repetition_penalty, 1.0),
        frequency_penalty=fields.frequency_penalty or 0.0,
        presence_penalty=fields.presence_penalty or 0.0,
        logit_bias=_biases(fields, renderer),
        bad_words=_bad_words(fields, renderer),
        min_tokens=min_tokens,
        stop_token_ids=_stop_tokens(fields, renderer),
        ignore_eos=bool(fields.ignore_eos),
        logprobs=logprobs,
        prompt_logprobs=prompt_logprobs,
        grammar=grammar,
    )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _biases(fields: SamplingFields, renderer: PromptRenderer) -> tuple[tuple[int, float], ...]:
    biases: dict[int, float] = {}
    for key, bias in (fields.logit_bias or {}).items():
        param = f"logit_bias.{key}"
        token_id = check_token_id(int(key), len(renderer.token_bytes), param)
        if token_id in biases:
            raise InvalidRequest(f"Invalid '{param}': logit_bias names token {token_id} twice.", param=param)
        biases[token_id] = bias
    return tuple(biases.items())


def _stop_tokens(fields: SamplingFields, renderer: PromptRenderer) -> tuple[int, ...]:
    return tuple(
        check_token_id(token_id, len(renderer.token_bytes), f"stop_token_ids[{index}]")
        for index, token_id in enumerate(fields.stop_token_ids or ())
    )


def _bad_words(fields: SamplingFields, renderer: PromptRenderer) -> tuple[tuple[int, ...], ...]:
    """Each word as it is written at the start of a text, and behind a space."""
    found: dict[tuple[int, ...], None] = {}
    for index, word in enumerate(fields.bad_words or ()):
        param = f"bad_words[{index}]"
        for text in (word, f" {word.lstrip()}"):
            found[_word_tokens(text, renderer, param)] = None
    return tuple(found)


def _word_tokens(text: str, renderer: PromptRenderer, param: str) -> tuple[int, ...]:
    try:
        token_ids = renderer.plain(text)
    except InvalidPrompt as error:
        raise refused_input(error, param) from error
    if len(token_ids) > MOST_TOKENS_OF_A_BAD_WORD:
        raise InvalidRequest(
            f"Invalid '{param}': it has {len(token_ids)} tokens; {MOST_TOKENS_OF_A_BAD_WORD} are allowed.",
            param=param,
        )
    return tuple(token_ids)
