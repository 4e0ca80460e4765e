"""Responses that go on from others, on a real Postgres."""

from typing import Any

import pytest

from tasks import deletion, responses
from tasks.errors import InvalidRequest, JobNotFound, ResponseNotFound
from tasks.item_page import ItemFilter
from tasks.job_results import get_result
from tasks.keys import Principal
from tasks.models import JobStatus
from tasks.plan import JobPlan
from tasks.planning import renderer_of
from tasks.projects import create_project
from tasks.response_chain import chain_items
from tasks.response_context import context_of
from tasks.wire.item_ids import item_id
from tasks.wire.responses import RESPONSE_REQUEST
from tests.integration.tasks.response_jobs import CALL, FUNCTION, Responder, digits, scored


@pytest.fixture
def responder(principal: Principal) -> Responder:
    return Responder(principal)


@pytest.fixture
def stranger() -> Responder:
    return Responder(Principal(create_project("other").id, None))  # type: ignore[arg-type]


def said(responder: Responder, response_id: str) -> list[str]:
    """Everything that a response going on from this one is told, in order."""
    body: dict[str, Any] = {"model": "smollm2", "previous_response_id": response_id}
    context = context_of(responder.project_id, RESPONSE_REQUEST.validate_python(body))
    return [text_of(item) for item in context.items]


def text_of(item: dict[str, Any]) -> str:
    if item["type"] == "message":
        return str(item["content"][0]["text"])
    return str(item.get("arguments") or item.get("output"))


def prompt(plan: JobPlan) -> str:
    return renderer_of(plan.spec).decode(plan.prompts[0])


def refusal(responder: Responder, **body: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        responder.begin("x", **body)
    return caught.value


def test_response_is_told_all_that_was_said_before_but_not_the_instructions(responder: Responder) -> None:
    first = responder.respond("one", "two", instructions="be brief")
    second = responder.respond("three", "four", previous_response_id=first)
    assert said(responder, second) == ["one", "two", "three", "four"]
    body = {"model": "smollm2", "input": "five", "previous_response_id": second, "instructions": "be kind"}
    told = prompt(responses.plan(responder.project_id, RESPONSE_REQUEST.validate_python(body)))
    assert "be brief" not in told
    places = [told.index(text) for text in ("be kind", "one", "two", "three", "four", "five")]
    assert places == sorted(places)


def test_two_may_go_on_from_the_same_one(responder: Responder) -> None:
    first = responder.respond("one", "two")
    left = responder.respond("left", "l", previous_response_id=first)
    right = responder.respond("right", "r", previous_response_id=first)
    assert said(responder, left) == ["one", "two", "left", "l"]
    assert said(responder, right) == ["one", "two", "right", "r"]


def test_calls_and_their_outputs_are_gone_on_from(responder: Responder) -> None:
    first = responder.respond("weather?", CALL, tools=[FUNCTION])
    call_id = f"call_{digits(first)}_1"
    output = [{"type": "function_call_output", "call_id": call_id, "output": "sunny"}]
    second = responder.begin(output, tools=[FUNCTION], previous_response_id=first)
    responder.end(second, "It is sunny.")
    assert said(responder, second) == ["weather?", '{"city": "Paris"}', "sunny", "It is sunny."]


def test_output_of_a_call_that_was_never_made_is_refused(responder: Responder) -> None:
    first = responder.respond("one", "two")
    output = [{"type": "function_call_output", "call_id": "call_x", "output": "sunny"}]
    with pytest.raises(InvalidRequest) as caught:
        responder.begin(output, previous_response_id=first)
    assert caught.value.param == "input[0].call_id"


def test_text_kept_with_its_logprobs_is_gone_on_from(responder: Responder) -> None:
    first = responder.begin("one", include=["message.output_text.logprobs"])
    responder.end(first, "", **scored("two"))
    assert said(responder, first) == ["one", "two"]


def test_cancelled_one_is_gone_on_from_with_what_it_said(responder: Responder) -> None:
    first = responder.begin("one")
    responder.end(first, "tw", JobStatus.CANCELLED)
    assert said(responder, first) == ["one", "tw"]


def test_previous_one_that_is_not_there_is_refused_by_name(responder: Responder, stranger: Responder) -> None:
    theirs = stranger.respond("one", "two")
    unstored = responder.respond("one", "two", store=False)
    for missing in ("resp_" + "0" * 32, "nonsense", theirs, unstored):
        fault = refusal(responder, previous_response_id=missing)
        assert (fault.param, fault.code) == ("previous_response_id", "previous_response_not_found")
        assert missing in fault.message


def test_deleted_one_breaks_the_chain(responder: Responder) -> None:
    first = responder.respond("one", "two")
    second = responder.respond("three", "four", previous_response_id=first)
    responses.delete(responder.project_id, first)
    for response_id in (first, second):
        fault = refusal(responder, previous_response_id=response_id)
        assert (fault.param, fault.code) == ("previous_response_id", "previous_response_not_found")
        assert first in fault.message


def test_previous_one_that_has_not_ended_is_refused(responder: Responder) -> None:
    first = responder.begin("one")
    fault = refusal(responder, previous_response_id=first)
    assert (fault.param, fault.code) == ("previous_response_id", "previous_response_not_ended")


def test_previous_one_and_a_conversation_exclude_each_other(responder: Responder) -> None:
    first = responder.respond("one", "two")
    assert refusal(responder, previous_response_id=first, conversation="c").param == "previous_response_id"


def test_chain_that_is_too_deep_is_cut_and_says_so(
    responder: Responder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.response_chain.MAX_DEPTH", 2)
    first = responder.respond("one", "two")
    second = responder.respond("three", "four", previous_response_id=first)
    items, cut = chain_items(responder.project_id, second)
    assert (len(items), cut) == (4, False)
    third = responder.respond("five", "six", previous_response_id=second)
    items, cut = chain_items(responder.project_id, third)
    assert (len(items), cut) == (4, True)
    assert refusal(responder, previous_response_id=third).param == "truncation"
    assert responder.begin("x", previous_response_id=third, truncation="auto")


def test_item_is_given_by_its_id(responder: Responder) -> None:
    first = responder.respond("one", "two")
    answer = item_id("message", digits(first), 1)
    second = responder.begin([{"type": "item_reference", "id": answer}, {"role": "user", "content": "three"}])
    kept = get_result(responder.project_id, f"job_{digits(second)}").request["input"]
    assert [text_of(item) for item in kept] == ["two", "three"]
    assert kept[0]["role"] == "assistant"


def test_item_that_is_not_there_is_refused_by_its_place(responder: Responder, stranger: Responder) -> None:
    mine = responder.respond("one", "two")
    theirs = stranger.respond("one", "two")
    unstored = responder.respond("one", "two", store=False)
    missing = [
        item_id("message", digits(theirs), 0),
        item_id("message", digits(unstored), 0),
        item_id("message", digits(mine), 7),
        item_id("function_call", digits(mine), 0),
        "msg_1",
    ]
    for reference in missing:
        with pytest.raises(InvalidRequest) as caught:
            responder.begin([{"role": "user", "content": "x"}, {"type": "item_reference", "id": reference}])
        assert (caught.value.param, caught.value.code) == ("input[1].id", "item_not_found")


def test_response_is_found_under_its_id_by_its_project_alone(
    responder: Responder, stranger: Responder
) -> None:
    first = responder.respond("one", "two")
    assert responses.get(responder.project_id, first).choices[0].text == "two"
    for response_id in (first.replace("resp_", "job_"), "resp_x", responder.respond("a", "b", store=False)):
        with pytest.raises(ResponseNotFound):
            responses.get(responder.project_id, response_id)
    with pytest.raises(ResponseNotFound):
        responses.get(stranger.project_id, first)


def test_deleted_response_is_gone_at_once(responder: Responder) -> None:
    first = responder.respond("one", "two")
    responses.delete(responder.project_id, first)
    for again in (responses.get, responses.delete):
        with pytest.raises(ResponseNotFound):
            again(responder.project_id, first)
    with pytest.raises(JobNotFound):
        deletion.delete_job(responder.project_id, f"job_{digits(first)}")


def test_only_one_in_the_background_is_cancelled_and_twice_is_as_good_as_once(responder: Responder) -> None:
    front = responder.begin("one")
    with pytest.raises(InvalidRequest) as caught:
        responses.cancel(responder.project_id, front)
    assert caught.value.param == "response_id"
    back = responder.begin("one", background=True)
    for _ in range(2):
        assert responses.cancel(responder.project_id, back).job.status is JobStatus.CANCELLED
    done = responder.respond("one", "two", background=True)
    assert responses.cancel(responder.project_id, done).job.status is JobStatus.COMPLETED


def test_pages_of_input_meet_without_gap_or_overlap(responder: Responder) -> None:
    texts = [str(number) for number in range(5)]
    first = responder.begin([{"role": "user", "content": text} for text in texts])
    for order, expected in (("asc", texts), ("desc", texts[::-1])):
        seen: list[str] = []
        after = None
        while True:
            wanted = ItemFilter(limit=2, after=after, order=order)  # type: ignore[arg-type]
            page = responses.list_input_items(responder.project_id, first, wanted)
            seen += [item.content[0].text for item in page.data if item.type == "message"]
            after = page.last_id
            if not page.has_more:
                break
        assert seen == expected
    with pytest.raises(InvalidRequest) as caught:
        responses.list_input_items(responder.project_id, first, ItemFilter(after="nonsense"))
    assert caught.value.param == "after"
