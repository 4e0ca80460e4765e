"""The OpenAPI 3.1 document, made from what the routes and the Pydantic models say of themselves."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flask import Flask
from pydantic import BaseModel, TypeAdapter
from werkzeug.routing import Rule

from tasks.version import version
from tasks.wire.stream_end import DONE
from web.auth import ADMIN_BLUEPRINT
from web.error_body import ErrorBody
from web.openapi_answers import ALWAYS, WITH_A_KEY, headers, refusals
from web.openapi_schemas import Schemas
from web.routing import ObjectId

_VARIABLE = re.compile(r"<(?:(?P<kind>\w+):)?(?P<name>\w+)>")
_VARIABLE_SCHEMAS = {"id": {"type": "string", "pattern": f"^{ObjectId.regex}$"}}
_ANY_TEXT = {"type": "string", "minLength": 1}


@dataclass(frozen=True, slots=True)
class Header:
    """A request header that an operation understands."""

    name: str
    description: str


IDEMPOTENCY_KEY = Header("Idempotency-Key", "The same key and body lead to the same job, however often sent.")


@dataclass(frozen=True, slots=True)
class Events:
    """Server-sent events. ``data`` is what they hold, where one model says it, until an error or the end."""

    data: type[BaseModel] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is not a refusal: a body, a stream of events, or either as the request wants it.

    ``media`` is the type of an answer that is neither.
    """

    description: str
    body: type[BaseModel] | None = None
    headers: tuple[str, ...] = ()
    events: Events | None = None
    media: str | None = None


ANSWER_HEADERS = ("x-tokenmill-job-id", "Idempotent-Replayed")
"""Of what waits for a job, or streams it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a route does, in words for its readers."""

    tag: str
    summary: str
    replies: Mapping[int, Reply]
    description: str = ""
    body: TypeAdapter[Any] | None = None
    form: TypeAdapter[Any] | None = None
    query: type[BaseModel] | None = None
    headers: tuple[Header, ...] = ()
    refusals: tuple[int, ...] = field(default=())


View = TypeVar("View", bound=Callable[..., Any])
_operations: dict[Callable[..., Any], Operation] = {}


def documented(operation: Operation) -> Callable[[View], View]:
    """Describe a view; it is served as it is."""

    def describe(view: View) -> View:
        _operations[view] = operation
        return view

    return describe


def document(app: Flask, public_blueprints: frozenset[str]) -> dict[str, Any]:
    """The document of every described route of an application."""
    routes = [(rule, operation) for rule in app.url_map.iter_rules() if (operation := _of(app, rule))]
    schemas = _schemas([operation for _, operation in routes])
    paths: dict[str, dict[str, Any]] = {}
    for rule, operation in sorted(routes, key=lambda route: route[0].rule):
        public = rule.endpoint.partition(".")[0] in public_blueprints
        path = paths.setdefault(_VARIABLE.sub(r"{\g<name>}", rule.rule), {})
        path[_method(rule)] = _operation(rule, operation, schemas, public)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tokenmill",
            "version": version(),
            "description": "Asynchronous LLM inference: submit a job, read its result and what it cost.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "responses": refusals(),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A project's key, `tm-…`."},
                "admin_key": {"type": "http", "scheme": "bearer", "description": "`tm-admin-…`."},
            },
        },
        "security": [{"key": []}],
    }


def _schemas(operations: Sequence[Operation]) -> Schemas:
    replies = [reply for operation in operations for reply in operation.replies.values()]
    asked = [taken for operation in operations for taken in (operation.body, operation.form)]
    return Schemas(
        taken=[taken for taken in asked if taken is not None],
        given=[
            ErrorBody,
            *(reply.body for reply in replies if reply.body is not None),
            *(reply.events.data for reply in replies if reply.events and reply.events.data),
        ],
        queries=[operation.query for operation in operations if operation.query is not None],
    )


def _of(app: Flask, rule: Rule) -> Operation | None:
    return _operations.get(app.view_functions[rule.endpoint])


def _method(rule: Rule) -> str:
    return next(method.lower() for method in rule.methods or () if method not in {"HEAD", "OPTIONS"})


def _operation(rule: Rule, operation: Operation, schemas: Schemas, public: bool) -> dict[str, Any]:
    refused = {*ALWAYS, *operation.refusals, *(() if public else WITH_A_KEY)}
    described: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_"),
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [*_path_parameters(rule), *_header_parameters(operation)],
        "responses": {
            **{str(status): _reply(reply, schemas) for status, reply in operation.replies.items()},
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(refused)},
        },
    }
    if operation.description:
        described["description"] = operation.description
    if operation.query is not None:
        described["parameters"] += schemas.parameters(operation.query)
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": _json(schemas.of(operation.body))}
    if operation.form is not None:
        form = {"multipart/form-data": {"schema": schemas.of(operation.form)}}
        described["requestBody"] = {"required": True, "content": form}
    if public:
        described["security"] = []
    elif rule.endpoint.partition(".")[0] == ADMIN_BLUEPRINT:
        described["security"] = [{"admin_key": []}]
    return described


def _path_parameters(rule: Rule) -> Iterator[dict[str, Any]]:
    for variable in _VARIABLE.finditer(rule.rule):
        schema = _VARIABLE_SCHEMAS.get(variable["kind"], _ANY_TEXT)
        yield {"name": variable["name"], "in": "path", "required": True, "schema": schema}


def _header_parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    for header in operation.headers:
        yield {
            "name": header.name,
            "in": "header",
            "description": header.description,
            "schema": {"type": "string"},
        }


def _reply(reply: Reply, schemas: Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {"description": reply.description, "headers": headers(reply.headers)}
    content: dict[str, Any] = {}
    if reply.body is not None:
        content |= _json(schemas.of(reply.body))
    if reply.events is not None:
        content["text/event-stream"] = {"schema": _event(reply.events, schemas)}
    if reply.media is not None:
        content[reply.media] = {}
    return described | ({"content": content} if content else {})


def _event(events: Events, schemas: Schemas) -> dict[str, Any]:
    """One event of a stream."""
    text: dict[str, Any] = {"type": "string"}
    data = text
    if events.data is not None:
        held = {"anyOf": [schemas.of(events.data), schemas.of(ErrorBody)]}
        content = {"contentMediaType": "application/json", "contentSchema": held}
        data = {"anyOf": [text | content, {"const": DONE.data}]}
    properties = {"id": text, "event": text, "data": data}
    return {"type": "object", "properties": properties, "required": ["data"]}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
