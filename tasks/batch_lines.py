"""The lines of a batch's file: each as the job that it asks for, or as what is wrong with it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import StringConstraints, TypeAdapter, ValidationError

from tasks.endpoints import plan_of
from tasks.errors import DatabaseUnavailable, InvalidRequest, TokenmillError
from tasks.json_lines import numbered_lines, parse_line
from tasks.plan import Endpoint, JobPlan, ServiceTier
from tasks.principal import demand_model
from tasks.settings import settings
from tasks.stored_choices import stored_text
from tasks.wire.faults import invalid_request
from tasks.wire.fields import Strict

# They speak of somebody who waits, or of other requests, or of another end than the batch's.
_NOT_IN_BATCHES = ("stream", "background", "previous_response_id", "conversation", "expires_in_seconds")

CustomId = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00]*$")]


class _Line(Strict):
    custom_id: CustomId
    method: Literal["POST"]
    url: str
    body: dict[str, Any]


_LINE: TypeAdapter[_Line] = TypeAdapter(_Line)


@dataclass(frozen=True, slots=True)
class PlannedLine:
    """A line that can run."""

    number: int
    custom_id: str
    plan: JobPlan


@dataclass(frozen=True, slots=True)
class LineFault:
    """A line that can't, and why. ``param`` is a path into the line."""

    number: int
    custom_id: str | None
    code: str
    message: str
    param: str | None

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "param": self.param, "line": self.number}


class LineReader:
    """Reads the lines of one file in their order, for what must hold between them as well."""

    def __init__(self, endpoint: Endpoint, project_id: str, models: frozenset[str] | None = None) -> None:
        """``models`` are those that may be asked for; None: every one."""
        self._models = models
        self._endpoint = endpoint
        self._project_id = project_id
        self._first_by_custom_id: dict[str, int] = {}
        self._model: str | None = None

    def read(self, chunks: Iterable[bytes]) -> Iterator[PlannedLine | LineFault]:
        """Every line that is not blank. Raises DatabaseUnavailable."""
        for number, raw in numbered_lines(chunks, settings().max_body_bytes):
            yield self.read_line(number, raw)

    def read_line(self, number: int, raw: bytes) -> PlannedLine | LineFault:
        """Raises DatabaseUnavailable."""
        custom_id: str | None = None
        try:
            value = parse_line(number, raw)
            custom_id = _custom_id_of(value)
            line = self._checked(number, value)
            return PlannedLine(number, line.custom_id, self._planned(line.body))
        except DatabaseUnavailable:
            raise
        except TokenmillError as error:
            param = None if error.param is None else stored_text(error.param)
            return LineFault(number, custom_id, error.code, stored_text(error.message), param)

    def _checked(self, number: int, value: object) -> _Line:
        try:
            line = _LINE.validate_python(value)
        except ValidationError as error:
            raise invalid_request(error, value) from None
        if line.url != self._endpoint:
            raise InvalidRequest(
                f"The url {line.url!r} is not the batch's endpoint, {self._endpoint.value!r}.",
                param="url",
                code="invalid_url",
            )
        first = self._first_by_custom_id.setdefault(line.custom_id, number)
        if first != number:
            raise InvalidRequest(
                f"The custom_id {line.custom_id!r} is that of line {first} already.",
                param="custom_id",
                code="duplicate_custom_id",
            )
        return line

    def _planned(self, body: dict[str, Any]) -> JobPlan:
        try:
            for name in _NOT_IN_BATCHES:
                if body.get(name) not in (None, False):
                    raise InvalidRequest(
                        f"Unsupported parameter: '{name}' is not supported in a batch.",
                        param=name,
                        code="unsupported_parameter",
                    )
            plan = plan_of(self._endpoint, self._project_id, body)
            demand_model(self._models, plan.spec.name)
            self._check_model(plan.spec.name)
        except TokenmillError as error:
            if error.param is not None:
                error.param = f"body.{error.param}"
            raise
        return replace(plan, service_tier=ServiceTier.BATCH, stored=False)

    def _check_model(self, model: str) -> None:
        if self._model is None:
            self._model = model
        elif model != self._model:
            raise InvalidRequest(
                f"All lines of a batch must name one model: here it is {model!r}, before {self._model!r}.",
                param="model",
                code="mismatched_model",
            )


def _custom_id_of(value: object) -> str | None:
    """As far as it can be told of a line that is not valid."""
    custom_id = value.get("custom_id") if isinstance(value, dict) else None
    return custom_id if isinstance(custom_id, str) and "\x00" not in custom_id else None
