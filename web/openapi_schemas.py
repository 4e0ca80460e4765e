"""The JSON schemas of everything that operations take and give."""

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

REF_TEMPLATE = "#/components/schemas/{model}"

Adapters = dict[int, tuple[JsonSchemaMode, TypeAdapter[Any]]]


class Schemas:
    """Made all at once, so that no two models get one name."""

    def __init__(
        self,
        taken: Iterable[TypeAdapter[Any]],
        given: Iterable[type[BaseModel]],
        queries: Iterable[type[BaseModel]],
    ) -> None:
        asked = set(queries)
        adapters: Adapters = {id(adapter): ("validation", adapter) for adapter in taken}
        adapters |= {id(body): ("serialization", TypeAdapter(body)) for body in given}
        adapters |= {id(query): ("validation", TypeAdapter(query)) for query in asked}
        inputs = [(key, mode, adapter) for key, (mode, adapter) in adapters.items()]
        found, definitions = TypeAdapter.json_schemas(inputs, ref_template=REF_TEMPLATE)
        self._schemas = {key: schema for (key, _), schema in found.items()}
        self.definitions: dict[str, Any] = definitions["$defs"]
        # Spelled out as parameters, so they are no bodies of their own.
        self._queries = {query: self.definitions.pop(query.__name__) for query in asked}

    def of(self, described: type[BaseModel] | TypeAdapter[Any]) -> dict[str, Any]:
        return self._schemas[id(described)]

    def parameters(self, query: type[BaseModel]) -> Iterator[dict[str, Any]]:
        """A query, parameter by parameter."""
        described = self._queries[query]
        for name, schema in described.get("properties", {}).items():
            parameter = {"name": name, "in": "query", "schema": schema}
            if "description" in schema:
                parameter["description"] = schema["description"]
            if name in described.get("required", ()):
                parameter["required"] = True
            if schema.get("type") == "object":
                parameter |= {"style": "deepObject", "explode": True}
            if schema.get("type") == "array":
                parameter["name"] = f"{name}[]"
            yield parameter
