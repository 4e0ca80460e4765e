"""The functions a chat may call, in today's form and in the older one."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, Tag

from inference.tools import FunctionTool, ToolChoice, ToolUse
from tasks.errors import InvalidRequest
from tasks.wire.chat_messages import FunctionName
from tasks.wire.fields import Strict, Text
from tasks.wire.forms import by_form
from tasks.wire.json_values import JsonObject

MOST_TOOLS = 128


class FunctionDefinition(Strict):
    """A function; ``parameters`` is the JSON schema of its arguments."""

    name: FunctionName
    description: Text | None = None
    parameters: JsonObject | None = None
    strict: bool | None = Field(None, description="Arguments are always held to the schema.")


class ChatTool(Strict):
    """A tool. Only functions are understood here."""

    type: Literal["function"]
    function: FunctionDefinition


class OlderFunction(Strict):
    """A function in the older form."""

    name: FunctionName
    description: Text | None = None
    parameters: JsonObject | None = None


class FunctionReference(Strict):
    """A function by its name."""

    name: FunctionName


class NamedTool(Strict):
    """This function is to be called."""

    type: Literal["function"]
    function: FunctionReference


class AllowedTools(Strict):
    """Only some of the tools may, or have to, be called."""

    mode: Literal["auto", "required"]
    tools: list[NamedTool] = Field(min_length=1, max_length=MOST_TOOLS)


class AllowedToolsChoice(Strict):
    """The choice among allowed tools."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


# Tags stand in the paths of faults, so none may read like the name of a field.
_CHOICE_TAGS = {"function": "named tool", "allowed_tools": "allowed tools"}


def _choice_form(value: Any) -> str | None:
    if isinstance(value, str):
        return "word"
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return _CHOICE_TAGS.get(kind) if isinstance(kind, str) else None


def _older_choice_form(value: Any) -> str | None:
    if isinstance(value, str):
        return "word"
    return "named function" if isinstance(value, dict | FunctionReference) else None


Tools = Annotated[list[ChatTool], Field(min_length=1, max_length=MOST_TOOLS)]
Functions = Annotated[list[OlderFunction], Field(min_length=1, max_length=MOST_TOOLS)]
ToolChoiceField = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("word")]
    | Annotated[NamedTool, Tag("named tool")]
    | Annotated[AllowedToolsChoice, Tag("allowed tools")],
    by_form(_choice_form, "'none', 'auto', 'required', or an object of type 'function' or 'allowed_tools'"),
]
FunctionCallField = Annotated[
    Annotated[Literal["none", "auto"], Tag("word")] | Annotated[FunctionReference, Tag("named function")],
    by_form(_older_choice_form, "'none', 'auto', or an object with the name of a function"),
]


class ToolFields(Strict):
    """What a chat says of tools."""

    tools: Tools | None = Field(None, description="Functions that may be called.")
    tool_choice: ToolChoiceField | None = Field(None, description="Only with `tools`; `auto` when left out.")
    parallel_tool_calls: bool | None = Field(None, description="Only with `tools`: several calls at once.")
    functions: Functions | None = Field(None, description="The older form of `tools`.")
    function_call: FunctionCallField | None = Field(None, description="The older form of `tool_choice`.")


def tool_use(fields: ToolFields) -> ToolUse | None:
    """Which functions may be called and how; None where there are none. Raises InvalidRequest."""
    _check_company(fields)
    if fields.tools is not None:
        tools = tuple(_function(tool.function) for tool in fields.tools)
        choice = _choice(fields.tool_choice, tools)
        _check_names(tools, "tools", "tools[{}].function.name")
        return ToolUse(tools, choice, parallel=fields.parallel_tool_calls is not False)
    if fields.functions is not None:
        tools = tuple(_function(function) for function in fields.functions)
        _check_names(tools, "functions", "functions[{}].name")
        return ToolUse(tools, _older_choice(fields.function_call, tools), parallel=False)
    return None


def _check_company(fields: ToolFields) -> None:
    if fields.tools is not None and fields.functions is not None:
        raise InvalidRequest("functions is the older form of tools: give one of them.", param="functions")
    for param, given, needs, there in (
        ("tool_choice", fields.tool_choice, "tools", fields.tools),
        ("parallel_tool_calls", fields.parallel_tool_calls, "tools", fields.tools),
        ("function_call", fields.function_call, "functions", fields.functions),
    ):
        if given is not None and there is None:
            raise InvalidRequest(f"{param} is only allowed with {needs}.", param=param)


def _function(definition: FunctionDefinition | OlderFunction) -> FunctionTool:
    return FunctionTool(definition.name, definition.description, definition.parameters)


def _check_names(tools: Sequence[FunctionTool], what: str, place: str) -> None:
    names = [tool.name for tool in tools]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InvalidRequest(f"{what} has two functions called {name!r}.", param=place.format(index))


def _choice(
    field: Literal["none", "auto", "required"] | NamedTool | AllowedToolsChoice | None,
    tools: Sequence[FunctionTool],
) -> ToolChoice:
    if field is None or isinstance(field, str):
        return ToolChoice(field or "auto")
    if isinstance(field, NamedTool):
        _check_known(field.function.name, tools, "tool_choice.function.name")
        return ToolChoice("required", (field.function.name,))
    for index, tool in enumerate(field.allowed_tools.tools):
        _check_known(tool.function.name, tools, f"tool_choice.allowed_tools.tools[{index}].function.name")
    names = tuple(dict.fromkeys(tool.function.name for tool in field.allowed_tools.tools))
    return ToolChoice(field.allowed_tools.mode, names)


def _older_choice(
    field: Literal["none", "auto"] | FunctionReference | None, tools: Sequence[FunctionTool]
) -> ToolChoice:
    if isinstance(field, FunctionReference):
        _check_known(field.name, tools, "function_call.name")
        return ToolChoice("required", (field.name,))
    return ToolChoice(field or "auto")


def _check_known(name: str, tools: Sequence[FunctionTool], param: str) -> None:
    if name not in {tool.name for tool in tools}:
        raise InvalidRequest(f"Invalid '{param}': there is no function called {name!r}.", param=param)
