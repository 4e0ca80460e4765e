"""The OpenAPI 3.1 document, made from what the routes and the Pydantic models say of themselves."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flask import Flask
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode
from werkzeug.routing import Rule

from web.error_body import ErrorBody
from web.version import version

REF_TEMPLATE = "#/components/schemas/{model}"

_REFUSALS = {
    400: "The request is not valid; `error.param` names the first wrong field, `error.details` all of them.",
    401: "The API key is missing or not valid.",
    404: "No such object, or none of this project's.",
    409: "The request contradicts what has already happened. Sending it again does not help.",
    413: "The body, or a file in it, is too large.",
    415: "The body is not of the type described here.",
    416: "The file has no such range.",
    429: "Too many requests, or the project's budget does not cover this one.",
    503: "The platform can't answer now; nothing was changed. Try again after `Retry-After`.",
}
_HEADERS = {
    "Accept-Ranges": "`bytes`: ranges can be asked for.",
    "Content-Range": "Which bytes these are, and of how many.",
    "Location": "Where the job can be read.",
    "Idempotent-Replayed": "`true`: nothing new was created.",
    "ETag": "Changes whenever the job does.",
    "Retry-After": "Seconds after which asking again is worth it.",
}


@dataclass(frozen=True, slots=True)
class Header:
    """A request header that an operation understands."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is not a refusal."""

    description: str
    body: type[BaseModel] | None = None
    headers: tuple[str, ...] = ()
    media: str | None = None
    """The type of an answer that is no JSON."""


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
    schemas = _Schemas(operation for _, operation in routes)
    paths: dict[str, dict[str, Any]] = {}
    for rule, operation in sorted(routes, key=lambda route: route[0].rule):
        public = rule.endpoint.partition(".")[0] in public_blueprints
        path = paths.setdefault(re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), {})
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
            "responses": {str(status): _refusal(text) for status, text in _REFUSALS.items()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }


class _Schemas:
    """The JSON schemas of everything that operations take and give."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        adapters: dict[int, tuple[JsonSchemaMode, TypeAdapter[Any]]] = {
            id(ErrorBody): ("serialization", TypeAdapter(ErrorBody))
        }
        queries: set[type[BaseModel]] = set()
        for operation in operations:
            if operation.body is not None:
                adapters[id(operation.body)] = ("validation", operation.body)
            if operation.form is not None:
                adapters[id(operation.form)] = ("validation", operation.form)
            if operation.query is not None:
                queries.add(operation.query)
                adapters[id(operation.query)] = ("validation", TypeAdapter(operation.query))
            for reply in operation.replies.values():
                if reply.body is not None:
                    adapters[id(reply.body)] = ("serialization", TypeAdapter(reply.body))
        inputs = [(key, mode, adapter) for key, (mode, adapter) in adapters.items()]
        found, definitions = TypeAdapter.json_schemas(inputs, ref_template=REF_TEMPLATE)
        self._schemas = {key: schema for (key, _), schema in found.items()}
        self.definitions: dict[str, Any] = definitions["$defs"]
        # Spelled out as parameters, so they are no bodies of their own.
        self._queries = {query: self.definitions.pop(query.__name__) for query in queries}

    def of(self, described: type[BaseModel] | TypeAdapter[Any]) -> dict[str, Any]:
        return self._schemas[id(described)]

    def parameters(self, query: type[BaseModel]) -> Iterator[dict[str, Any]]:
        for name, schema in self._queries[query]["properties"].items():
            parameter = {"name": name, "in": "query", "schema": schema}
            if "description" in schema:
                parameter["description"] = schema["description"]
            if schema.get("type") == "object":
                parameter |= {"style": "deepObject", "explode": True}
            yield parameter


def _of(app: Flask, rule: Rule) -> Operation | None:
    return _operations.get(app.view_functions[rule.endpoint])


def _method(rule: Rule) -> str:
    return next(method.lower() for method in rule.methods or () if method not in {"HEAD", "OPTIONS"})


def _operation(rule: Rule, operation: Operation, schemas: _Schemas, public: bool) -> dict[str, Any]:
    refusals = operation.refusals if public else (401, *operation.refusals)
    described: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_"),
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [*_path_parameters(rule), *_header_parameters(operation)],
        "responses": {
            **{str(status): _reply(reply, schemas) for status, reply in operation.replies.items()},
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in refusals},
        },
    }
    if operation.description:
        described["description"] = operation.description
    if operation.query is not None:
        described["parameters"] += schemas.parameters(operation.query)
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": _json(schemas.of(operation.body))}
    if operation.form is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"multipart/form-data": {"schema": schemas.of(operation.form)}},
        }
    if public:
        described["security"] = []
    return described


def _path_parameters(rule: Rule) -> Iterator[dict[str, Any]]:
    for name in sorted(rule.arguments):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _header_parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    for header in operation.headers:
        yield {
            "name": header.name,
            "in": "header",
            "description": header.description,
            "schema": {"type": "string"},
        }


def _reply(reply: Reply, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {"description": reply.description}
    if reply.headers:
        described["headers"] = {
            name: {"description": _HEADERS[name], "schema": {"type": "string"}} for name in reply.headers
        }
    if reply.body is not None:
        described["content"] = _json(schemas.of(reply.body))
    elif reply.media is not None:
        described["content"] = {reply.media: {}}
    return described


def _refusal(description: str) -> dict[str, Any]:
    return {"description": description, "content": _json({"$ref": REF_TEMPLATE.format(model="ErrorBody")})}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
