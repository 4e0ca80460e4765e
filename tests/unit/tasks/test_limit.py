from tasks.limit import Charge, Count, Limit, Standing, decisive, refusal_text, refused, standings, tightest


def limit(amount: int, unit: str = "tokens", seconds: int = 60, name: str = "key:1") -> Limit:
    return Limit(name=name, whose="this API key", unit=unit, amount=amount, seconds=seconds)  # type: ignore[arg-type]


def test_tightest_limit_is_the_one_with_least_left() -> None:
    day, minute = limit(1000, seconds=86_400), limit(100)
    found = standings([Charge(day, 5), Charge(minute, 5)], [Count(990, 5000), Count(5, 50)])
    assert tightest(found, "tokens") == found[0]
    assert tightest(found, "requests") is None


def test_of_limits_that_are_used_up_the_one_that_lasts_is_tightest() -> None:
    day, minute = limit(100, seconds=86_400), limit(100)
    found = standings([Charge(minute, 1), Charge(day, 1)], [Count(100, 50), Count(100, 5000)])
    assert tightest(found, "tokens") == found[1]


def test_limit_of_nothing_is_no_limit() -> None:
    assert tightest([Standing(limit(0), 5, 60)], "tokens") is None


def test_what_keeps_a_client_out_longest_decides() -> None:
    charges = [Charge(limit(100), 50), Charge(limit(100, seconds=86_400), 50), Charge(limit(1000), 50)]
    found = refused(charges, [Count(90, 30), Count(90, 9000), Count(0, 60)])
    assert decisive(found) == found[1]
    assert [standing.exceeded for standing in found] == [True, True, False]
    assert refusal_text(found) == (
        "The limit of 100 tokens per day of this API key is reached: 90 are used, this request needs 50. "
        "Try again in 9000 s."
    )


def test_request_larger_than_a_limit_is_told_that_it_never_fits() -> None:
    found = refused([Charge(limit(100), 101)], [Count(0, 60)])
    assert found[0].never
    assert refusal_text(found) == (
        "The limit is 100 tokens per minute of this API key, and this request alone needs 101."
    )
