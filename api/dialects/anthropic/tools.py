"""The tools of Anthropic's bodies, and which of them are to be called."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from api.dialects.anthropic.blocks import Cached
from api.requests.tools import JsonObject, check_choice, json_text, tool
from jobs.errors import InvalidInput
from jobs.generate import Tool, ToolChoice

_CHOICES: dict[str, ToolChoice] = {"auto": "auto", "any": "required", "tool": "required", "none": "none"}


class AnthropicTool(Cached, frozen=True, kw_only=True):
    """input_schema: JSON schema of the arguments. type: "custom", for it is the caller who runs the tool.
    input_examples: shown to the model after the description. eager_input_streaming: calls are sent whole.
    """

    name: str
    description: str | None = None
    input_schema: JsonObject | None = None
    type: str | None = None
    strict: bool | None = None
    input_examples: tuple[JsonObject, ...] | None = None
    allowed_callers: tuple[str, ...] | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None


class AnthropicChoice(msgspec.Struct, frozen=True, kw_only=True):
    """any: some tool must be called. tool: the one named."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class ChosenTools(NamedTuple):
    """What a chat has of them."""

    tools: tuple[Tool, ...]
    choice: ToolChoice
    name: str | None
    """The one that must be called."""
    parallel: bool


def chosen_tools(given: Sequence[AnthropicTool], choice: AnthropicChoice | None) -> ChosenTools:
    """Raises InvalidInput naming the field."""
    tools = tuple(_tool(each, f"tools[{index}]") for index, each in enumerate(given))
    choice = choice or AnthropicChoice(type="auto")
    name = choice.name if choice.type == "tool" else None
    if choice.type == "tool" and name is None:
        raise InvalidInput("tool_choice.name is missing.", param="tool_choice")
    check_choice(tools, must_call=choice.type in ("any", "tool"), name=name, param="tool_choice")
    return ChosenTools(tools, _CHOICES[choice.type], name, not choice.disable_parallel_tool_use)


def _tool(asked: AnthropicTool, path: str) -> Tool:
    if asked.type not in (None, "custom"):
        raise InvalidInput(
            f"{path}: tools of type {asked.type[:100]!r} are not run here; there is custom.", param="tools"
        )
    if asked.defer_loading:
        raise InvalidInput(f"{path}.defer_loading: tools are not searched for here.", param="tools")
    if asked.allowed_callers is not None and "direct" not in asked.allowed_callers:
        raise InvalidInput(f"{path}.allowed_callers: tools are called by the model alone.", param="tools")
    return tool(
        asked.name,
        _described(asked),
        asked.input_schema,
        asked.strict,
        path=f"{path}.name",
        param="tools",
    )


def _described(asked: AnthropicTool) -> str | None:
    if not asked.input_examples:
        return asked.description
    examples = "\n".join(json_text(each, "tools") for each in asked.input_examples)
    return f"{asked.description or ''}\n\nExamples of its input:\n{examples}".lstrip()
