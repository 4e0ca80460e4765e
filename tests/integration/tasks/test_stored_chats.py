"""Stored chats in a real database."""

from typing import Any

import pytest
from sqlalchemy import func, update

from tasks import keys, projects
from tasks.admission import submit
from tasks.db import transaction
from tasks.errors import InvalidRequest, JobNotFound
from tasks.ids import CHAT_COMPLETION_PREFIX, shown_as
from tasks.job_queries import JobFilter
from tasks.keys import Principal
from tasks.models import Job
from tasks.stored_chats import delete_chat, get_chat, list_chats, set_chat_metadata
from tasks.wire.chat_completions import chat_body, chat_plan
from tasks.wire.chat_request import CHAT_COMPLETION_REQUEST

BODY: dict[str, Any] = {
    "model": "smollm2",
    "messages": [{"role": "user", "content": "hi"}],
    "max_tokens": 4,
    "store": True,
}


def chat(by: Principal, *, ended: str | None = "completed", **changes: Any) -> str:
    """A chat as the endpoint submits it, and ended as a worker ends it; its id."""
    plan = chat_plan(CHAT_COMPLETION_REQUEST.validate_python({**BODY, **changes}))
    job = submit(by, plan, idempotency_key=None, request_id=None).job
    if ended is not None:
        end(job.id, ended)
    return shown_as(job.id, CHAT_COMPLETION_PREFIX)


def end(job_id: str, status: str) -> None:
    with transaction() as connection:
        connection.execute(
            update(Job)
            .where(Job.id == job_id)
            .values(
                status=status,
                ended_at=func.now(),
                output_text="Hello.",
                output_token_ids=[5],
                finish_reason="stop" if status == "completed" else None,
                completion_tokens=1,
                billed_prompt_tokens=3,
            )
        )


def test_stored_chat_is_read_by_its_own_id(principal: Principal) -> None:
    chat_id = chat(principal, metadata={"a": "b"})
    body = chat_body(get_chat(principal.project_id, chat_id))
    assert (body.id, body.choices[0].message.content, body.metadata) == (chat_id, "Hello.", {"a": "b"})


def test_chat_cut_short_is_read_as_far_as_it_got(principal: Principal) -> None:
    body = chat_body(get_chat(principal.project_id, chat(principal, ended="cancelled")))
    assert body.choices[0].finish_reason == "length"


def test_what_is_no_stored_chat_with_an_answer_is_not_there(principal: Principal) -> None:
    other = projects.create_project("neighbour")
    neighbour = keys.authenticate(keys.create_key(other.id, "tests").secret)
    foreign = chat(neighbour)
    for chat_id in (
        chat(principal, store=False),
        chat(principal, ended=None),
        foreign,
        f"chatcmpl-{'0' * 32}",
        "chatcmpl-",
        foreign.replace("chatcmpl-", "resp_"),
    ):
        with pytest.raises(JobNotFound) as caught:
            get_chat(principal.project_id, chat_id)
        assert caught.value.code == "completion_not_found"


def test_lists_hold_the_completed_ones_page_by_page(principal: Principal) -> None:
    first, second = chat(principal), chat(principal, metadata={"a": "b"})
    chat(principal, store=False)
    chat(principal, ended=None)

    def ids(**wanted: Any) -> list[str]:
        page = list_chats(principal.project_id, JobFilter(**wanted))
        return [shown_as(result.job.id, CHAT_COMPLETION_PREFIX) for result in page.items]

    assert ids(order="asc") == [first, second]
    assert ids(order="asc", limit=1) == [first]
    assert ids(order="asc", after=first) == [second]
    assert ids(metadata={"a": "b"}) == [second]
    for after in ("x", f"chatcmpl-{'0' * 32}"):
        with pytest.raises(InvalidRequest) as caught:
            ids(after=after)
        assert caught.value.param == "after"


def test_metadata_is_replaced(principal: Principal) -> None:
    chat_id = chat(principal, metadata={"a": "b"})
    assert set_chat_metadata(principal.project_id, chat_id, {"c": "d"}).job.metadata == {"c": "d"}
    assert get_chat(principal.project_id, chat_id).job.metadata == {"c": "d"}


def test_deleted_chat_is_gone(principal: Principal) -> None:
    chat_id, other = chat(principal), chat(principal)
    delete_chat(principal.project_id, chat_id)
    for use in (get_chat, delete_chat):
        with pytest.raises(JobNotFound):
            use(principal.project_id, chat_id)
    page = list_chats(principal.project_id, JobFilter())
    assert [shown_as(result.job.id, CHAT_COMPLETION_PREFIX) for result in page.items] == [other]
