"""What is in the cache is used again, changes no token, and is never handed on by a request that failed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from inference.engine import Engine
from inference.loader import LoadedModel, load_model
from inference.prefix_tree import BLOCK_TOKENS
from inference.request import GenerationRequest, Outcome, OutcomeStatus, SamplingParams
from tests.integration.inference.faults import PassOptions, model_hook
from tests.integration.inference.requests import PROMPTS, Ear, chat, generated, run, tokens
from tests.integration.inference.tiny_model import save_tiny

PREFIX = tuple(index * 7 % 250 for index in range(330))
POISON = 251
TOKEN_BYTES = 2 * 2 * 2 * 16 * 4

MakeEngine = Callable[..., Engine]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("tiny")
    return load_model(save_tiny(folder, "llama"), folder, device="cpu")


@pytest.fixture
def make_tiny(make_engine: MakeEngine, tiny: LoadedModel) -> MakeEngine:
    def make(**options: Any) -> Engine:
        return make_engine(loaded=tiny, **options)

    return make


def ask(prompt: tuple[int, ...], seed: int = 0, *, max_tokens: int = 12, **options: Any) -> GenerationRequest:
    """Greedy for seed 0."""
    return tokens(prompt, max_tokens, temperature=1.0 if seed else 0.0, seed=seed, **options)


def answers(outcomes: list[Outcome]) -> list[tuple[int, ...]]:
    return [outcome.token_ids for outcome in outcomes]


@pytest.mark.parametrize("length", [50, len(PREFIX)])
def test_tokens_are_the_same_with_and_without_reuse(make_tiny: MakeEngine, length: int) -> None:
    requests = [ask((*PREFIX[:length], 3, number), seed=number % 3) for number in range(6)]
    alone = [run(make_tiny(), request)[0] for request in requests]
    engine = make_tiny()
    together = run(engine, *requests)
    again = run(engine, *requests)
    assert answers(alone) == answers(together) == answers(again)
    assert [outcome.usage.cached_tokens for outcome in alone] == [0] * 6
    assert [outcome.usage.cached_tokens for outcome in again] == [length + 1] * 6
    stats = engine.stats()
    hits = [outcome.usage.cached_tokens for outcome in (*together, *again)]
    assert (stats.cache_hit_tokens, stats.cache_lookup_tokens) == (sum(hits), 12 * (length + 2))
    assert stats.cache_tokens_leased == 0 < stats.cache_tokens_retained


def test_a_prefix_that_arrives_many_times_at_once_is_computed_once(make_tiny: MakeEngine) -> None:
    engine = make_tiny(started=False, max_batch_tokens=64)
    generations = [engine.submit(ask((*PREFIX, number))) for number in range(16)]
    engine.start()
    outcomes = [generation.wait(60) for generation in generations]
    cached = sorted(outcome.usage.cached_tokens for outcome in outcomes if outcome)
    assert cached[0] == 0
    assert all(len(PREFIX) - BLOCK_TOKENS < tokens <= len(PREFIX) for tokens in cached[1:])
    assert engine.stats().prefill_tokens <= len(PREFIX) + 16 * BLOCK_TOKENS
    assert engine.stats().cache_tokens_leased == 0


def test_several_answers_to_one_prompt_compute_it_once(make_tiny: MakeEngine) -> None:
    engine = make_tiny(started=False)
    prompt = PREFIX[:77]
    generations = [engine.submit(ask(prompt, seed=seed)) for seed in range(1, 9)]
    engine.start()
    outcomes = [generation.wait(60) for generation in generations]
    assert sorted(outcome.usage.cached_tokens for outcome in outcomes if outcome) == [0] + [76] * 7


def test_under_pressure_what_is_kept_makes_way_and_no_token_changes(make_tiny: MakeEngine) -> None:
    requests = [ask((number, *PREFIX[: 20 * number]), max_tokens=60) for number in range(1, 12)]
    expected = answers(run(make_tiny(), *requests))
    cramped = make_tiny(kv_budget_bytes=512 * TOKEN_BYTES)
    for _ in range(2):
        assert answers(run(cramped, *requests)) == expected
    assert cramped.stats().cache_tokens_leased == 0


def test_a_displaced_request_goes_on_from_the_cache_with_the_same_tokens(make_tiny: MakeEngine) -> None:
    engine = make_tiny(slots=1)
    low = ask(PREFIX, max_tokens=100)
    ear = Ear()
    generation = engine.submit(low, ear)
    assert ear.heard.wait(60)
    run(engine, ask((9, 9, 9), priority=1))
    displaced = generation.wait(60)
    stats = engine.stats()
    assert stats.preemptions == 1
    assert stats.prefill_tokens <= len(PREFIX) + 3
    assert generated(displaced) == generated(run(make_tiny(), low)[0])
    assert displaced is not None
    assert displaced.usage.cached_tokens == 0


def test_what_the_engine_warmed_up_with_is_nobodys_prefix(make_tiny: MakeEngine) -> None:
    engine = make_tiny()
    (outcome,) = run(engine, ask(tuple(range(40))))
    stats = engine.stats()
    assert outcome.usage.cached_tokens == 0
    assert (stats.cache_hit_tokens, stats.cache_lookup_tokens, stats.cache_evictions) == (0, 40, 0)


def test_a_failed_request_gives_nothing_on(make_tiny: MakeEngine, tiny: LoadedModel) -> None:
    def spoil(options: PassOptions, output: Any) -> None:
        if POISON in options["input_ids"]:
            output.logits[0, -1] = float("nan")

    engine = make_tiny()
    with model_hook(tiny, spoil):
        (failed,) = run(engine, ask((*PREFIX[:50], POISON)))
    assert failed.status is OutcomeStatus.FAILED
    (outcome,) = run(engine, ask(PREFIX[:50]))
    assert outcome.usage.cached_tokens == 0


def test_keys_that_are_no_numbers_are_not_handed_on(make_tiny: MakeEngine, tiny: LoadedModel) -> None:
    """The first part of the prompt is poisoned, which shows in no logits before the last part."""

    def spoil(module: torch.nn.Module, args: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        return output.masked_fill((args[0] == POISON)[..., None], float("nan"))

    engine = make_tiny(max_batch_tokens=64, started=False)
    poisoned = [engine.submit(ask((*PREFIX[:10], POISON, *PREFIX[11:300], seed), seed)) for seed in (1, 2)]
    innocent = engine.submit(ask(PREFIX[:200], max_tokens=4))
    handle = tiny.model.get_input_embeddings().register_forward_hook(spoil)
    try:
        engine.start()
        outcomes = [generation.wait(60) for generation in (*poisoned, innocent)]
    finally:
        handle.remove()
    statuses = [outcome.status for outcome in outcomes if outcome]
    assert statuses == [OutcomeStatus.FAILED, OutcomeStatus.FAILED, OutcomeStatus.COMPLETED]
    assert outcomes[1] is not None
    assert outcomes[1].usage.cached_tokens == 0
    assert generated(outcomes[2]) == generated(run(make_tiny(), ask(PREFIX[:200], max_tokens=4))[0])


def test_when_the_one_that_computes_the_prefix_is_cancelled_the_others_go_on(make_tiny: MakeEngine) -> None:
    engine = make_tiny(started=False, max_batch_tokens=32)
    donor = engine.submit(ask(PREFIX))
    others = [engine.submit(ask((*PREFIX, number))) for number in range(3)]
    donor.cancel()
    later = engine.submit(ask((*PREFIX, 3)))
    engine.start()
    outcomes = [generation.wait(60) for generation in (*others, later)]
    assert [outcome and outcome.status for outcome in outcomes] == [OutcomeStatus.COMPLETED] * 4


@pytest.mark.parametrize("model_type", ["mistral", "gemma3_text"])
def test_models_with_sliding_windows_copy_what_they_reuse(
    tmp_path: Path, make_engine: MakeEngine, model_type: str
) -> None:
    spec = save_tiny(tmp_path, model_type, sliding_window=16, query_pre_attn_scalar=16)
    loaded = load_model(spec, tmp_path, device="cpu")
    requests = [ask((*PREFIX, number)) for number in range(3)]
    alone = answers([run(make_engine(loaded=loaded), request)[0] for request in requests])
    engine = make_engine(loaded=loaded)
    assert answers(run(engine, *requests)) == alone
    again = run(engine, *requests)
    assert answers(again) == alone
    assert [outcome.usage.cached_tokens for outcome in again] == [len(PREFIX)] * 3


def test_a_conversation_with_the_real_model_reuses_its_history(
    make_engine: MakeEngine, loaded_model: LoadedModel
) -> None:
    engine = make_engine()
    (first,) = run(engine, chat(loaded_model, PROMPTS[0]))
    messages = [
        {"role": "user", "content": PROMPTS[0]},
        {"role": "assistant", "content": first.text},
        {"role": "user", "content": "And of Spain?"},
    ]
    params = SamplingParams(max_tokens=12, temperature=0.0)
    request = GenerationRequest("second", tuple(loaded_model.renderer.chat(messages)), params)
    (second,) = run(engine, request)
    assert second.usage.cached_tokens == first.usage.total_tokens - 1
    assert second.usage.cached_tokens > first.usage.prompt_tokens
    assert generated(second) == generated(run(make_engine(), request)[0])


def test_a_long_prefix_shared_with_the_real_model_changes_no_token(
    make_engine: MakeEngine, loaded_model: LoadedModel
) -> None:
    story = " ".join(PROMPTS) * 6
    requests = [chat(loaded_model, story + text, max_tokens=8) for text in PROMPTS[:3]]
    alone = answers([run(make_engine(), request)[0] for request in requests])
    engine = make_engine()
    outcomes = run(engine, *requests)
    assert answers(outcomes) == alone
    assert min(outcome.usage.cached_tokens for outcome in outcomes[1:]) > 256
