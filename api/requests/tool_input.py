"""The arguments of a model's call, for dialects that give them as an object."""

from typing import Any

import msgspec
import pydantic_core

from api.requests.tools import JsonObject
from jobs.generate import ToolCall

_JSON_OBJECT = msgspec.json.Decoder(JsonObject)


def tool_input(call: ToolCall) -> msgspec.Raw:
    """A JSON object. Where the model wrote none, what it wrote is in there as text: {"arguments": text}.

    So are the arguments of a call that is cut: nobody can take it for a whole one.
    """
    try:
        _JSON_OBJECT.decode(call.arguments)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return msgspec.Raw(msgspec.json.encode({"arguments": call.arguments}))
    return msgspec.Raw(call.arguments.encode())


def begun_input(call: ToolCall) -> msgspec.Raw:
    """A JSON object; of a call that is cut, what Anthropic's own client gathers from a stream that ends there.

    A text that is not closed is left out; a list or a number may be cut.
    """
    if not call.cut:
        return tool_input(call)
    try:
        found: Any = pydantic_core.from_json(call.arguments or "{", allow_partial=True)
    except ValueError:
        found = None
    return msgspec.Raw(msgspec.json.encode(found)) if isinstance(found, dict) else tool_input(call)
