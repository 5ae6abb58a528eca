"""Tools that a model may call, and its calls, as every dialect gives them: checked, and put into the job's form."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import pydantic_core

from jobs.errors import InvalidInput
from jobs.format_limits import check_tools
from jobs.generate import Tool, ToolCall

JsonObject = dict[str, Any]
"""JSON that only the model or its chat template interprets: a schema, variables."""

JsonText = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]
"""A JSON object, as text, that is put into a reply unchanged."""

_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_NO_PARAMETERS = Tool("").parameters
_JSON_OBJECT = msgspec.json.Decoder(JsonObject)


class FunctionSpec(msgspec.Struct, frozen=True, kw_only=True):
    """parameters: JSON schema of the arguments."""

    name: str
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


def json_text(value: object, param: str) -> str:
    """JSON. Raises InvalidInput, naming the field, for what is nested too deeply.

    What could be decoded cannot always be encoded: how deep each may go depends on the depth of the call stack.
    """
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError as error:
        raise InvalidInput(f"{param} is nested too deeply.", param=param) from error


def tool(
    name: str,
    description: str | None,
    parameters: JsonObject | None,
    strict: bool | None,
    *,
    path: str,
    param: str,
) -> Tool:
    """Raises InvalidInput, naming the path, for what cannot be a function's name."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{path}: a function's name has 1 to 128 letters, digits, '_', '-' and '.', not {name[:200]!r}.",
            param=param,
        )
    schema = json_text(parameters, param) if parameters else _NO_PARAMETERS
    return Tool(name=name, description=description or "", parameters=schema, strict=bool(strict))


def function_tools(
    given: Sequence[FunctionSpec], *, must_call: bool = False, name: str | None = None
) -> tuple[Tool, ...]:
    """The functions of `tools`, as OpenAI and Ollama have them. must_call, name: what tool_choice says.

    Raises InvalidInput, naming the field, for tools that are wrong or too large, and where tool_choice fits none.
    """
    tools = tuple(
        tool(
            each.name,
            each.description,
            each.parameters,
            each.strict,
            path=f"tools[{index}].function.name",
            param="tools",
        )
        for index, each in enumerate(given)
    )
    check_choice(tools, must_call=must_call, name=name, param="tool_choice")
    return tools


def check_choice(tools: Sequence[Tool], *, must_call: bool, name: str | None, param: str) -> None:
    """Raises InvalidInput where a call is required and no tool fits, or where the tools' schemas are too large."""
    if must_call and not tools:
        raise InvalidInput(f"{param} asks for a call, but there are no tools.", param=param)
    if name is not None and name not in [each.name for each in tools]:
        raise InvalidInput(f"{param} names {name[:200]!r}, which is none of the tools.", param=param)
    check_tools([each for each in tools if name in (None, each.name)], must_call=must_call)


def earlier_arguments(given: object, param: str) -> str:
    """The arguments of an earlier call, as text. Whatever a model has written is shown to the template as it is.

    Raises InvalidInput for what is nested too deeply.
    """
    if given is None or (isinstance(given, str) and not given.strip()):
        return "{}"
    return given if isinstance(given, str) else json_text(given, param)


def tool_input(call: ToolCall) -> msgspec.Raw:
    """The arguments of a model's call as a JSON object. Where the model wrote none: {"arguments": what it wrote}.

    The arguments of a call that is cut are given in the same way, so that nobody takes it for a complete one.
    """
    try:
        _JSON_OBJECT.decode(call.arguments)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return msgspec.Raw(msgspec.json.encode({"arguments": call.arguments}))
    return msgspec.Raw(call.arguments.encode())


def partial_input(call: ToolCall) -> msgspec.Raw:
    """As tool_input; of a call that is cut, what Anthropic's own client reads from a stream that ends there.

    A text that is not closed is left out; a list or a number may be cut.
    """
    if not call.cut:
        return tool_input(call)
    try:
        found: Any = pydantic_core.from_json(call.arguments or "{", allow_partial=True)
    except ValueError:
        found = None
    return msgspec.Raw(msgspec.json.encode(found)) if isinstance(found, dict) else tool_input(call)
