"""The body of every refusal and failure."""

from pydantic import BaseModel, Field


class Fault(BaseModel):
    """One wrong field of a request."""

    param: str | None
    message: str
    code: str


class ErrorDescription(BaseModel):
    """What went wrong."""

    message: str = Field(description="For people; it may change.")
    type: str = Field(description="For programs: the kind of error.")
    param: str | None = Field(description="The first wrong field, such as `messages[2].content`.")
    code: str | None = Field(description="For programs: a stable word for this very error.")
    details: list[Fault] | None = Field(None, description="Every wrong field, where a body was wrong.")


class ErrorBody(BaseModel):
    """The body of every refusal and failure."""

    error: ErrorDescription
