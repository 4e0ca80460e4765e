"""Sampling against a plain implementation of the same distribution."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.sampling import SamplingRow, gumbel_noise, noise_key, nucleus_floor, sample

DRAWS = 4000
CHI_SQUARE_AT_ONE_IN_100_000 = {1: 19.5, 2: 23.0, 3: 25.9, 4: 28.5, 5: 30.9, 6: 33.1, 7: 35.3}

Logits = list[float]


def plain_distribution(logits: Logits, temperature: float, top_p: float) -> list[float]:
    """Probabilities after temperature, cut to the fewest likeliest tokens that hold ``top_p``."""
    weights = [math.exp((logit - max(logits)) / temperature) for logit in logits]
    probabilities = [weight / sum(weights) for weight in weights]
    kept: list[int] = []
    for token in sorted(range(len(logits)), key=lambda token: -logits[token]):
        if kept and sum(probabilities[other] for other in kept) >= top_p:
            break
        kept.append(token)
    total = sum(probabilities[token] for token in kept)
    return [probabilities[token] / total if token in kept else 0.0 for token in range(len(logits))]


def draw(logits: Logits, temperature: float, top_p: float, seed: int = 0) -> list[int]:
    rows = [SamplingRow(temperature, top_p, seed, position) for position in range(DRAWS)]
    tokens = sample(torch.tensor([logits]).expand(DRAWS, -1), rows)
    return [token for token in tokens if token is not None]


@pytest.mark.parametrize(
    ("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (1.5, 0.8), (1.0, 0.5), (2.0, 0.97)]
)
def test_draws_follow_the_distribution(temperature: float, top_p: float) -> None:
    logits = [2.0, 1.0, 0.5, 0.0, -1.0, 1.5, -0.5, -2.0]
    expected = plain_distribution(logits, temperature, top_p)
    drawn = draw(logits, temperature, top_p)
    assert {token for token in drawn if not expected[token]} == set()
    likely = [token for token, probability in enumerate(expected) if probability]
    distance = sum(
        (drawn.count(token) - DRAWS * expected[token]) ** 2 / (DRAWS * expected[token]) for token in likely
    )
    assert distance < CHI_SQUARE_AT_ONE_IN_100_000[len(likely) - 1]


def test_draws_over_seeds_follow_the_distribution_too() -> None:
    rows = [SamplingRow(1.0, 1.0, seed, 0) for seed in range(DRAWS)]
    tokens = sample(torch.tensor([[0.0, math.log(3.0)]]).expand(DRAWS, -1), rows)
    assert sum(tokens[index] == 1 for index in range(DRAWS)) == pytest.approx(0.75 * DRAWS, rel=0.05)


@given(
    st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=12, unique=True),
    st.floats(0.05, 0.999),
)
@settings(deadline=None, max_examples=50)
def test_the_nucleus_is_the_fewest_likeliest_tokens(logits: Logits, top_p: float) -> None:
    expected = plain_distribution(logits, 1.0, top_p)
    row = torch.tensor([logits], dtype=torch.float64)
    floor = nucleus_floor(row, row.logsumexp(-1), torch.tensor([top_p], dtype=torch.float64))
    kept = (row >= floor[:, None])[0].tolist()
    assert kept == [probability > 0 for probability in expected]


@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_draws_from_a_long_tail_follow_the_distribution(top_p: float) -> None:
    """Here half of the probability lies on tokens far below the best."""
    logits = [0.0] + [-11.0] * 60_000
    expected = plain_distribution([0.0, -11.0 + math.log(60_000)], 1.0, 1.0)[0]
    rows = [SamplingRow(1.0, top_p, 5, position) for position in range(400)]
    tokens = [
        token
        for start in range(0, 400, 50)
        for token in sample(torch.tensor([logits] * 50), rows[start : start + 50])
    ]
    assert tokens.count(0) / 400 == pytest.approx(expected, abs=0.12)
    assert len(set(tokens)) == pytest.approx(400 - tokens.count(0), abs=4)


def test_temperature_zero_takes_the_likeliest() -> None:
    assert sample(torch.tensor([[0.0, 3.0, 1.0], [5.0, 0.0, 1.0]]), [SamplingRow(0.0, 1.0, 0, 0)] * 2) == [
        1,
        0,
    ]


def test_a_tiny_temperature_is_as_good_as_zero() -> None:
    assert sample(torch.tensor([[0.0, 3.0, 1.0]]), [SamplingRow(1e-30, 1.0, 0, 0)]) == [1]


def test_top_p_zero_takes_the_likeliest() -> None:
    assert draw([0.0, 0.5, 0.2], 1.0, 0.0) == [1] * DRAWS


def test_each_row_has_its_own_parameters_and_ignores_the_others() -> None:
    logits = torch.randn(6, 500, generator=torch.Generator().manual_seed(1))
    rows = [SamplingRow(index % 3 * 0.7, 1 - index % 2 * 0.2, index, index) for index in range(6)]
    together = sample(logits, rows)
    assert together == [sample(logits[index : index + 1], rows[index : index + 1])[0] for index in range(6)]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_row_that_is_no_number_is_told_apart(temperature: float, value: float) -> None:
    logits = torch.tensor([[0.0, 1.0], [0.0, value], [9.0, 1.0]])
    first, second, third = sample(logits, [SamplingRow(temperature, 1.0, 0, 0)] * 3)
    assert first is not None
    assert second is None
    assert third == 0


def test_excluded_tokens_are_never_drawn() -> None:
    assert set(draw([0.0, float("-inf"), 0.0], 1.0, 1.0)) == {0, 2}


@given(st.integers(), st.integers(0, 10_000))
def test_any_seed_makes_a_key_that_fits(seed: int, position: int) -> None:
    assert -(2**63) <= noise_key(seed, position) < 2**63


def test_noise_has_mean_and_variance_of_a_gumbel_distribution() -> None:
    noise = gumbel_noise(torch.full((200_000,), noise_key(1, 2)), torch.arange(200_000))
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.01)
    assert noise.var().item() == pytest.approx(math.pi**2 / 6, rel=0.02)
