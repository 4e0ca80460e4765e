"""Functions that a model may call: what a request says of them. Torch-free."""

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A function. ``parameters`` is the JSON schema of its arguments; None takes any JSON object."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None

    def described(self) -> dict[str, Any]:
        """As the OpenAI API and chat templates write it."""
        function: dict[str, Any] = {"name": self.name}
        if self.description is not None:
            function["description"] = self.description
        parameters = {"type": "object", "properties": {}} if self.parameters is None else self.parameters
        return {"type": "function", "function": function | {"parameters": parameters}}


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether functions are called: never, as the model likes, or in any case. ``names`` narrows to those."""

    mode: Literal["none", "auto", "required"] = "auto"
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The functions a model is told of, and which of them it may or must call."""

    tools: tuple[FunctionTool, ...]
    choice: ToolChoice = field(default_factory=ToolChoice)
    parallel: bool = True

    @property
    def callable(self) -> tuple[FunctionTool, ...]:
        """The functions that may be called."""
        if self.choice.mode == "none":
            return ()
        return tuple(tool for tool in self.tools if not self.choice.names or tool.name in self.choice.names)

    @property
    def single(self) -> bool:
        """Whether there is one call at most: a function that is named is meant once."""
        return not self.parallel or len(self.choice.names) == 1
