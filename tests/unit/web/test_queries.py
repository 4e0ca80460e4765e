from datetime import UTC, datetime

import pytest
from flask import Flask

from tasks.errors import InvalidRequest
from tasks.models import JobStatus
from web import queries


def read(query: str) -> queries.JobListQuery:
    with Flask(__name__).test_request_context(f"/?{query}"):
        return queries.read(queries.JobListQuery)


def test_nothing_asked_is_the_first_page_newest_first() -> None:
    wanted = read("").job_filter()
    assert (wanted.limit, wanted.order, wanted.metadata) == (20, "desc", {})


def test_every_filter_is_read() -> None:
    wanted = read(
        "limit=5&after=job_1&order=asc&status=failed&model=m&created_after=0&created_before=86400"
        "&metadata[team]=a%20b&metadata[x.y]="
    ).job_filter()
    assert (wanted.limit, wanted.after, wanted.before, wanted.order) == (5, "job_1", None, "asc")
    assert (wanted.status, wanted.model) == (JobStatus.FAILED, "m")
    assert wanted.created_after == datetime(1970, 1, 1, tzinfo=UTC)
    assert wanted.created_before == datetime(1970, 1, 2, tzinfo=UTC)
    assert wanted.metadata == {"team": "a b", "x.y": ""}


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ("colour=red", "colour", "unknown_parameter"),
        ("colour[x]=red", "colour", "unknown_parameter"),
        ("limit=0", "limit", "invalid_value"),
        ("limit=101", "limit", "invalid_value"),
        ("limit=many", "limit", "invalid_value"),
        ("limit=1&limit=2", "limit", "invalid_value"),
        ("limit[a]=1", "limit", "invalid_type"),
        ("order=up", "order", "invalid_value"),
        ("status=lost", "status", "invalid_value"),
        ("after=", "after", "invalid_value"),
        ("model=a%00b", "model", "invalid_value"),
        ("created_after=-1", "created_after", "invalid_value"),
        ("created_before=99999999999999", "created_before", "invalid_value"),
        ("metadata=x", "metadata", "invalid_type"),
        ("metadata=x&metadata[a]=b", "metadata", "invalid_value"),
        ("metadata[a]=1&metadata[a]=2", "metadata[a]", "invalid_value"),
        ("metadata[a]=%00", "metadata.a", "invalid_value"),
    ],
)
def test_wrong_parameter_is_refused_by_name(query: str, param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(query)
    assert (refused.value.param, refused.value.code) == (param, code)


@pytest.mark.parametrize("wait", ["-1", "61", "nan", "inf", "soon"])
def test_wait_is_bounded(wait: str) -> None:
    with Flask(__name__).test_request_context(f"/?wait={wait}"), pytest.raises(InvalidRequest) as refused:
        queries.read(queries.JobQuery)
    assert refused.value.param == "wait"
