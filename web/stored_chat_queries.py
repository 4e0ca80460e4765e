"""Query parameters of stored chats."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from inference.errors import UnknownModel
from tasks.job_queries import JobFilter
from tasks.settings import settings
from web.queries import Name, Query


class ChatListQuery(Query):
    """Which stored chats to list."""

    after: Name | None = Field(None, description="The page behind this one.")
    limit: int = Field(20, ge=1, le=100, description="How many at most.")
    order: Literal["asc", "desc"] = Field("asc", description="By time of creation.")
    model: Name | None = Field(None, description="A model's name or alias.")
    metadata: dict[Name, Annotated[str, StringConstraints(max_length=512, pattern=r"^[^\x00]*$")]] = Field(
        default_factory=dict, description="`metadata[key]=value`: those with all of these pairs."
    )

    def job_filter(self) -> JobFilter:
        values = self.model_dump(exclude={"model"})
        return JobFilter(**values, model=None if self.model is None else _name_of(self.model))


class MessageListQuery(Query):
    """Which messages of a stored chat to list."""

    after: Name | None = Field(None, description="The page behind this message.")
    limit: int = Field(20, ge=1, le=100, description="How many at most.")
    order: Literal["asc", "desc"] = Field("asc", description="As they were sent, or the last first.")


def _name_of(model: str) -> str:
    """What jobs of that model are kept under."""
    try:
        return settings().model_catalog().get(model).name
    except UnknownModel:
        return model
