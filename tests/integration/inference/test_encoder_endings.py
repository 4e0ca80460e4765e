"""Every embedding request ends once, whatever happens, and takes no neighbour with it."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from inference.embedding_request import EmbeddingOutcome, EmbeddingRequest
from inference.encoder import Encoder
from inference.encoder_loader import LoadedEncoder
from inference.errors import EngineStopped, InvalidGeneration
from inference.request import OutcomeStatus
from tests.integration.inference.encoders import forward_hook, tokens

POISON = 12345
GOOD = (101, 2000, 2001, 102)
BAD = (101, POISON, 2001, 102)
LONG = (101, *range(2000, 2254), 102)


class Gate:
    """Holds the encoder in its first step until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, token_ids: torch.Tensor, output: Any) -> None:
        self.entered.set()
        assert self.opened.wait(60)


def ended(encoder: Encoder, *requests: EmbeddingRequest) -> list[EmbeddingOutcome]:
    outcomes = [embedding.wait(60) for embedding in [encoder.submit(request) for request in requests]]
    assert all(outcome is not None for outcome in outcomes)
    return [outcome for outcome in outcomes if outcome is not None]


def spoil(token_ids: torch.Tensor, output: Any) -> None:
    output.last_hidden_state[token_ids == POISON] = float("nan")


def break_on_poison(token_ids: torch.Tensor, output: Any) -> None:
    if POISON in token_ids:
        raise RuntimeError("poisoned")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (spoil, "the model's output is not a number (inputs[1])"),
        (break_on_poison, "the model failed: poisoned (inputs[1])"),
    ],
)
def test_a_bad_input_fails_its_request_alone(
    make_encoder: Callable[..., Encoder],
    loaded_encoder: LoadedEncoder,
    change: Callable[[torch.Tensor, Any], None],
    error: str,
) -> None:
    encoder = make_encoder()
    (alone,) = ended(encoder, tokens(GOOD))
    gate = Gate()
    with forward_hook(loaded_encoder, gate):
        first = encoder.submit(tokens(GOOD))
        assert gate.entered.wait(60)
        with forward_hook(loaded_encoder, change):
            before = [encoder.submit(tokens(GOOD)) for _ in range(3)]
            faulty = encoder.submit(tokens(GOOD, BAD, GOOD))
            after = [encoder.submit(tokens(GOOD)) for _ in range(2)]
            gate.opened.set()
            outcome = faulty.wait(60)
            neighbours = [embedding.wait(60) for embedding in (first, *before, *after)]
    assert outcome is not None
    assert (outcome.status, outcome.error, outcome.vectors) == (OutcomeStatus.FAILED, error, None)
    for neighbour in neighbours:
        assert neighbour is not None
        assert neighbour.vectors is not None
        assert alone.vectors is not None
        np.testing.assert_allclose(neighbour.vectors, alone.vectors, atol=1e-5)
    assert encoder.stats().running == encoder.stats().waiting == 0


def test_a_step_too_large_for_the_memory_is_run_in_smaller_ones(
    make_encoder: Callable[..., Encoder], loaded_encoder: LoadedEncoder
) -> None:
    sizes: list[int] = []

    def run_out(token_ids: torch.Tensor, output: Any) -> None:
        sizes.append(token_ids.shape[1])
        if token_ids.shape[1] > 8:
            raise torch.OutOfMemoryError("no memory")

    encoder = make_encoder()
    with forward_hook(loaded_encoder, run_out):
        (outcome,) = ended(encoder, tokens(*[GOOD] * 6))
    assert outcome.status is OutcomeStatus.COMPLETED
    assert sizes[0] == 24
    assert min(sizes) >= 4


def test_cancel_takes_what_has_not_been_computed(
    make_encoder: Callable[..., Encoder], loaded_encoder: LoadedEncoder
) -> None:
    encoder = make_encoder(max_batch_tokens=256)
    heard: list[EmbeddingOutcome] = []
    gate = Gate()
    with forward_hook(loaded_encoder, gate):
        half_done = encoder.submit(tokens(LONG, LONG), heard.append)
        assert gate.entered.wait(60)
        waiting = encoder.submit(tokens(LONG), heard.append)
        half_done.cancel()
        waiting.cancel()
        waiting.cancel()
        gate.opened.set()
        outcomes = [half_done.wait(60), waiting.wait(60)]
    assert ended(encoder, tokens(GOOD))[0].status is OutcomeStatus.COMPLETED
    assert heard == outcomes
    assert [outcome.status for outcome in heard] == [OutcomeStatus.CANCELLED] * 2
    assert [outcome.usage.prompt_tokens for outcome in heard] == [0, 0]
    assert encoder.stats().inputs == 2, "an input that was cancelled has been computed"


def test_cancel_after_the_end_changes_nothing(encoder: Encoder) -> None:
    heard: list[EmbeddingOutcome] = []
    embedding = encoder.submit(tokens(GOOD), heard.append)
    outcome = embedding.wait(60)
    embedding.cancel()
    ended(encoder, tokens(GOOD))
    assert embedding.wait(0) is outcome
    assert heard == [outcome]


def test_a_deadline_that_has_passed_expires_before_it_runs(encoder: Encoder) -> None:
    before = encoder.stats().inputs
    (outcome,) = ended(encoder, tokens(GOOD, deadline_seconds=time.monotonic() - 1))
    assert (outcome.status, outcome.vectors) == (OutcomeStatus.EXPIRED, None)
    assert encoder.stats().inputs == before


def test_a_deadline_holds_between_the_steps_of_one_request(
    make_encoder: Callable[..., Encoder], loaded_encoder: LoadedEncoder
) -> None:
    encoder = make_encoder(max_batch_tokens=256)
    deadline = time.monotonic() + 0.2

    def outlast(token_ids: torch.Tensor, output: Any) -> None:
        time.sleep(max(0.0, deadline - time.monotonic()))

    with forward_hook(loaded_encoder, outlast):
        (outcome,) = ended(encoder, tokens(LONG, LONG, deadline_seconds=deadline))
    assert outcome.status is OutcomeStatus.EXPIRED
    assert encoder.stats().inputs <= 1


def test_higher_priority_ends_first(make_encoder: Callable[..., Encoder]) -> None:
    encoder = make_encoder(started=False, max_batch_tokens=4)
    order: list[str] = []
    requests = [tokens(GOOD), tokens(GOOD, priority=5), tokens(GOOD, priority=5)]
    names = [request.request_id for request in requests]
    embeddings = [
        encoder.submit(request, lambda outcome, name=request.request_id: order.append(name))  # type: ignore[misc]
        for request in requests
    ]
    encoder.start()
    assert all(embedding.wait(60) for embedding in embeddings)
    assert order == [names[1], names[2], names[0]]


def test_a_long_input_is_not_overtaken_for_ever(make_encoder: Callable[..., Encoder]) -> None:
    encoder = make_encoder(started=False, max_batch_tokens=8)
    order: list[str] = []
    for request in [tokens(GOOD), tokens(LONG), *(tokens(GOOD) for _ in range(4))]:
        encoder.submit(request, lambda outcome, tokens=request.tokens: order.append(tokens))  # type: ignore[misc]
    encoder.start()
    ended(encoder, tokens(GOOD, priority=-1))
    assert order == [4, 4, 256, 4, 4, 4]


def test_a_broken_encoder_fails_everything_once_and_says_so(
    make_encoder: Callable[..., Encoder], loaded_encoder: LoadedEncoder
) -> None:
    def break_always(token_ids: torch.Tensor, output: Any) -> None:
        raise RuntimeError("no device")

    fatal: list[BaseException] = []
    told = threading.Event()
    heard: list[EmbeddingOutcome] = []
    heard_before: list[EmbeddingOutcome] = []

    def on_fatal(error: BaseException) -> None:
        fatal.append(error)
        heard_before.extend(heard)
        told.set()
        raise RuntimeError("and the callback too")

    encoder = make_encoder(started=False, max_batch_tokens=8, on_fatal=on_fatal)
    embeddings = [encoder.submit(tokens(GOOD, GOOD, LONG), heard.append) for _ in range(3)]
    encoder.warm_up()
    with forward_hook(loaded_encoder, break_always):
        thread = threading.Thread(target=encoder._run)
        thread.start()
        outcomes = [embedding.wait(60) for embedding in embeddings]
        assert told.wait(60)
        thread.join(60)
    assert [str(error) for error in fatal] == ["no device"]
    assert heard_before == []
    assert [outcome.status for outcome in heard] == [OutcomeStatus.FAILED] * 3
    assert set(heard) == set(outcomes)
    with pytest.raises(EngineStopped):
        encoder.submit(tokens(GOOD))


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, RuntimeError])
def test_a_listener_that_raises_anything_takes_no_neighbour_with_it(
    make_encoder: Callable[..., Encoder], error: type[BaseException]
) -> None:
    def refuse(outcome: EmbeddingOutcome) -> None:
        raise error

    encoder = make_encoder()
    encoder.submit(tokens(GOOD), refuse)
    outcome = encoder.submit(tokens(GOOD)).wait(60)
    assert outcome is not None
    assert outcome.status is OutcomeStatus.COMPLETED


def test_stop_cancels_what_waits(make_encoder: Callable[..., Encoder], loaded_encoder: LoadedEncoder) -> None:
    encoder = make_encoder(max_batch_tokens=256)
    heard: list[EmbeddingOutcome] = []
    gate = Gate()
    with forward_hook(loaded_encoder, gate):
        embeddings = [encoder.submit(tokens(LONG), heard.append) for _ in range(3)]
        assert gate.entered.wait(60)
        stopping = threading.Thread(target=encoder.stop)
        stopping.start()
        gate.opened.set()
        stopping.join(60)
    encoder.stop()
    assert sorted(outcome.status for outcome in heard)[:2] == [OutcomeStatus.CANCELLED] * 2
    assert [embedding.wait(0) is not None for embedding in embeddings] == [True] * 3
    assert len(heard) == 3
    with pytest.raises(EngineStopped):
        encoder.submit(tokens(GOOD))


def test_stop_without_a_start_cancels_what_was_submitted(make_encoder: Callable[..., Encoder]) -> None:
    encoder = make_encoder(started=False)
    embedding = encoder.submit(tokens(GOOD))
    encoder.stop()
    outcome = embedding.wait(0)
    assert outcome is not None
    assert outcome.status is OutcomeStatus.CANCELLED


def test_a_raising_listener_harms_nobody(encoder: Encoder, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(outcome: EmbeddingOutcome) -> None:
        raise RuntimeError("deaf")

    outcome = encoder.submit(tokens(GOOD), refuse).wait(60)
    assert outcome is not None
    assert outcome.status is OutcomeStatus.COMPLETED
    assert ended(encoder, tokens(GOOD))[0].status is OutcomeStatus.COMPLETED
    assert "listener failed" in {record.message for record in caplog.records}


def test_a_started_encoder_does_not_warm_up_again(encoder: Encoder) -> None:
    with pytest.raises(RuntimeError, match="warms up before it starts"):
        encoder.warm_up()


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (tokens(), "inputs is empty"),
        (tokens(GOOD, ()), r"inputs\[1\] has no tokens"),
        (tokens((*LONG, 102)), r"inputs\[0\] has 257 tokens; this model takes 256"),
        (tokens((30522,)), "token ids are 0 to 30521"),
        (tokens(GOOD, dimensions=128), "dimensions must be 384: this model's vectors can't be cut short"),
        (tokens(GOOD, dimensions=385), "from 1 to 384"),
    ],
)
def test_what_can_not_run_is_refused(encoder: Encoder, request_: EmbeddingRequest, says: str) -> None:
    with pytest.raises(InvalidGeneration, match=says):
        encoder.submit(request_)


def test_every_request_ends_once_under_random_use(make_encoder: Callable[..., Encoder]) -> None:
    encoder = make_encoder(max_batch_tokens=64)
    heard: list[list[EmbeddingOutcome]] = [[] for _ in range(24)]

    def use(number: int) -> None:
        deadline = time.monotonic() + 0.05 if number % 5 == 0 else None
        inputs = [LONG[: 2 + (7 * number + 3 * index) % 40] for index in range(1 + number % 7)]
        embedding = encoder.submit(
            tokens(*inputs, priority=number % 3, deadline_seconds=deadline), heard[number].append
        )
        if number % 4 == 0:
            embedding.cancel()
        outcome = embedding.wait(60)
        assert outcome is not None
        assert (outcome.vectors is not None) == (outcome.status is OutcomeStatus.COMPLETED)
        assert outcome.vectors is None or outcome.vectors.shape == (len(inputs), 384)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(len(heard))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(outcomes) for outcomes in heard] == [1] * len(heard)
    assert (encoder.stats().running, encoder.stats().waiting) == (0, 0)
