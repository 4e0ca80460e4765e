"""A request's tokens, text and end."""

from hypothesis import given
from hypothesis import strategies as st

from inference.request import FinishReason, Outcome, OutcomeStatus, TokenEvent
from tests.unit.inference.sequences import END, ids, make_sequence

Event = TokenEvent | Outcome


def run(token_ids: list[int], **options: object) -> tuple[list[TokenEvent], Outcome]:
    """Append until the end, complete, and return what the listener heard."""
    events: list[Event] = []
    sequence = make_sequence(max_tokens=max(1, len(token_ids)), listener=events.append, **options)  # type: ignore[arg-type]
    for token_id in token_ids:
        if sequence.finish_reason is None:
            sequence.append(token_id)
    sequence.end(OutcomeStatus.COMPLETED)
    *tokens, outcome = events
    assert isinstance(outcome, Outcome)
    return [event for event in tokens if isinstance(event, TokenEvent)], outcome


@given(st.text("abé漢😀", max_size=20), st.lists(st.text("abé漢", min_size=1, max_size=3), max_size=2))
def test_text_of_the_events_is_the_text_of_the_outcome(text: str, stops: list[str]) -> None:
    events, outcome = run(ids(text), stop=tuple(stops))
    assert "".join(event.text for event in events) == outcome.text
    assert tuple(token for event in events for token in event.token_ids) == outcome.token_ids
    assert "\ufffd" not in outcome.text
    assert not any(stop in outcome.text for stop in stops)


@given(st.text("abé漢", min_size=1, max_size=12), st.text("abé漢", min_size=1, max_size=3), st.data())
def test_resuming_anywhere_gives_the_same_outcome(text: str, stop: str, data: st.DataObject) -> None:
    _, whole = run(ids(text), stop=(stop,))
    cut = data.draw(st.integers(0, len(whole.token_ids)))
    resumed = make_sequence(
        max_tokens=len(ids(text)), stop=(stop,), generated_token_ids=whole.token_ids[:cut]
    )
    for token_id in whole.token_ids[cut:]:
        resumed.append(token_id)
    resumed.end(OutcomeStatus.COMPLETED)
    assert resumed.outcome == whole


def test_the_end_token_is_counted_but_is_no_text() -> None:
    _, outcome = run([*ids("he"), END])
    assert outcome.text == "he"
    assert outcome.token_ids[-1] == END
    assert outcome.usage.completion_tokens == len(outcome.token_ids) == 2
    assert outcome.finish_reason is FinishReason.STOP


def test_text_held_for_a_stop_string_appears_when_the_end_token_comes_instead() -> None:
    events, outcome = run([*ids("ab"), END], stop=("abc",))
    assert [event.text for event in events] == ["", "", "ab"]
    assert outcome.text == "ab"


def test_text_held_for_a_stop_string_is_passed_on_when_cancelled() -> None:
    events: list[Event] = []
    sequence = make_sequence(stop=("abc",), listener=events.append)
    for token_id in ids("ab"):
        sequence.append(token_id)
    sequence.end(OutcomeStatus.CANCELLED)
    assert events[-2] == TokenEvent((), "ab")
    assert sequence.outcome is not None
    assert sequence.outcome.text == "ab"
    assert sequence.outcome.finish_reason is None


def test_a_character_cut_by_the_length_limit_is_left_out() -> None:
    _, outcome = run(ids("a漢")[:-1])
    assert outcome.text == "a"
    assert outcome.finish_reason is FinishReason.LENGTH


def test_resumed_tokens_that_already_end_it_leave_nothing_to_do() -> None:
    assert make_sequence(generated_token_ids=(*ids("he"), END, 5)).progress().token_ids == (*ids("he"), END)
    assert make_sequence(max_tokens=1, generated_token_ids=(7,)).finish_reason is FinishReason.LENGTH
    assert (
        make_sequence(stop=("he",), generated_token_ids=tuple(ids("he"))).finish_reason is FinishReason.STOP
    )


def test_only_the_first_end_counts() -> None:
    events: list[Event] = []
    sequence = make_sequence(listener=events.append)
    sequence.end(OutcomeStatus.EXPIRED)
    sequence.end(OutcomeStatus.FAILED, "late")
    assert len(events) == 1
    assert sequence.wait(0) is events[0]


def test_a_listener_that_fails_on_the_end_does_not_keep_it_from_waiters() -> None:
    def fail(event: Event) -> None:
        raise RuntimeError

    sequence = make_sequence(listener=fail)
    sequence.end(OutcomeStatus.CANCELLED)
    outcome = sequence.wait(0)
    assert outcome is not None
    assert outcome.status is OutcomeStatus.CANCELLED


def test_waiting_gives_up_when_the_time_is_up() -> None:
    assert make_sequence().wait(0.001) is None
