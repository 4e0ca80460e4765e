"""Functions that a model may call, and which of them it must."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag
from pydantic.json_schema import SkipJsonSchema

from inference.tools import FunctionTool, ToolChoice, ToolUse
from tasks.errors import InvalidRequest
from tasks.wire.chat_messages import FunctionName
from tasks.wire.fields import Refused, Strict, Text
from tasks.wire.json_values import JsonObject
from tasks.wire.response_items import OtherKind


class FunctionToolParam(Strict):
    """A function of the client's own."""

    type: Literal["function"]
    name: FunctionName
    description: Text | None = None
    parameters: JsonObject | None = Field(None, description="A JSON schema of the arguments.")
    strict: bool | None = Field(None, description="Arguments always match the schema, also with `false`.")
    allowed_callers: Refused = None
    defer_loading: Refused = None
    output_schema: Refused = None
    runs_async: Refused = Field(None, alias="async")


def _is_function(value: object) -> str:
    function = not isinstance(value, Mapping) or value.get("type", "function") == "function"
    return "function" if function else "other"


Tool = Annotated[
    Annotated[FunctionToolParam, Tag("function")] | SkipJsonSchema[Annotated[OtherKind, Tag("other")]],
    Discriminator(_is_function),
]


class ChosenFunction(Strict):
    """A call of this one function."""

    type: Literal["function"]
    name: FunctionName


class AllowedFunctions(Strict):
    """A choice among some of the tools."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[ChosenFunction] = Field(min_length=1, max_length=128)


def _choice_kind(value: object) -> str:
    if isinstance(value, ChosenFunction | AllowedFunctions):
        return value.type
    if not isinstance(value, Mapping):
        return "mode"
    kind = value.get("type")
    return str(kind) if kind in ("function", "allowed_tools") else "other"


ToolChoiceParam = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("mode")]
    | Annotated[ChosenFunction, Tag("function")]
    | Annotated[AllowedFunctions, Tag("allowed_tools")]
    | SkipJsonSchema[Annotated[OtherKind, Tag("other")]],
    Discriminator(_choice_kind),
]


class ToolFields(Strict):
    """What a body says of tools."""

    tools: list[Tool] | None = Field(None, max_length=128)
    tool_choice: ToolChoiceParam | None = None
    parallel_tool_calls: bool | None = None

    def tool_use(self) -> ToolUse | None:
        """What the model may do with tools; None where there are none. Raises InvalidRequest."""
        if not self.tools:
            if self.tool_choice not in (None, "none", "auto"):
                raise InvalidRequest(
                    "tool_choice asks for a tool, and there are no tools.", param="tool_choice"
                )
            return None
        # No other kind gets through; the check tells the types apart.
        tools = [tool for tool in self.tools if isinstance(tool, FunctionToolParam)]
        names = [tool.name for tool in tools]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise InvalidRequest(f"There are two tools named {name!r}.", param=f"tools[{index}].name")
        functions = tuple(FunctionTool(tool.name, tool.description, tool.parameters) for tool in tools)
        return ToolUse(functions, _choice(self.tool_choice, names), self.parallel_tool_calls is not False)


def _choice(choice: Any, names: list[str]) -> ToolChoice:
    if isinstance(choice, ChosenFunction):
        _check_name(choice.name, names, "tool_choice.name")
        return ToolChoice("required", (choice.name,))
    if isinstance(choice, AllowedFunctions):
        for index, tool in enumerate(choice.tools):
            _check_name(tool.name, names, f"tool_choice.tools[{index}].name")
        return ToolChoice(choice.mode, tuple(tool.name for tool in choice.tools))
    return ToolChoice(choice or "auto")


def _check_name(name: str, names: list[str], param: str) -> None:
    if name not in names:
        raise InvalidRequest(f"There is no tool named {name!r}.", param=param)


def stored_tool_use(request: Mapping[str, Any]) -> ToolUse | None:
    """What the model could do, from the body that is kept with its job."""
    kept = {name: request[name] for name in ToolFields.model_fields if name in request}
    return ToolFields.model_validate(kept).tool_use()
