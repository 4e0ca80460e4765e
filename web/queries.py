"""Query parameters: strict about names, lenient about form, since every one arrives as text."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from flask import request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from tasks.errors import InvalidRequest
from tasks.job_queries import JobFilter
from tasks.models import JobStatus
from tasks.wire.faults import invalid_request

_MEMBER = re.compile(r"(?P<name>[^\[\]]+)\[(?P<key>.*)\]", re.DOTALL)
_LIST = "[]"
_LAST_MOMENT = 253_402_300_799

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
UnixSeconds = Annotated[int, Field(ge=0, le=_LAST_MOMENT)]


class Query(BaseModel):
    """Parameters nobody knows are refused by name, never ignored."""

    model_config = ConfigDict(extra="forbid")


class JobQuery(Query):
    """How to read one job."""

    wait: float = Field(
        0,
        ge=0,
        le=60,
        allow_inf_nan=False,
        description="Seconds to wait for the job to end. The answer comes the moment it does, or as it "
        "stands when the time is up; sooner when the server is busy or stopping.",
    )


class JobListQuery(Query):
    """Which jobs to list."""

    limit: int = Field(20, ge=1, le=100, description="How many at most.")
    after: Name | None = Field(None, description="The page behind this job.")
    before: Name | None = Field(None, description="The page ahead of this job.")
    order: Literal["asc", "desc"] = Field("desc", description="By time of creation.")
    status: JobStatus | None = None
    model: Name | None = None
    created_after: UnixSeconds | None = Field(None, description="Created at this Unix second or later.")
    created_before: UnixSeconds | None = Field(None, description="Created at this Unix second or earlier.")
    metadata: dict[Name, Annotated[str, StringConstraints(max_length=512, pattern=r"^[^\x00]*$")]] = Field(
        default_factory=dict, description="`metadata[key]=value`: jobs with all of these pairs."
    )

    def job_filter(self, api_key_id: str | None = None) -> JobFilter:
        """``api_key_id``: only what this key sent."""
        return JobFilter(
            **self.model_dump(exclude={"created_after", "created_before"}),
            created_after=_moment(self.created_after),
            created_before=_moment(self.created_before),
            api_key_id=api_key_id,
        )


QueryT = TypeVar("QueryT", bound=Query)


def read(model: type[QueryT]) -> QueryT:
    """The request's query parameters. Raises InvalidRequest."""
    parameters: dict[str, Any] = {}
    for name, values in request.args.lists():
        if name.endswith(_LIST):
            _add_list(parameters, name.removesuffix(_LIST), values)
            continue
        if len(values) > 1:
            raise InvalidRequest(f"The query names {name!r} more than once.", param=name)
        member = _MEMBER.fullmatch(name)
        if member is None:
            parameters[name] = values[0]
        else:
            _add_member(parameters, member["name"], member["key"], values[0])
    try:
        return model.model_validate(parameters)
    except ValidationError as error:
        raise invalid_request(error, parameters) from None


def _add_list(parameters: dict[str, Any], name: str, values: list[str]) -> None:
    if name in parameters:
        raise InvalidRequest(f"The query names {name!r} more than once.", param=name)
    parameters[name] = values


def _add_member(parameters: dict[str, Any], name: str, key: str, value: str) -> None:
    members = parameters.setdefault(name, {})
    if not isinstance(members, dict):
        raise InvalidRequest(f"The query names {name!r} more than once.", param=name)
    members[key] = value


def _moment(unix_seconds: int | None) -> datetime | None:
    return None if unix_seconds is None else datetime.fromtimestamp(unix_seconds, UTC)
