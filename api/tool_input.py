"""The arguments of a model's call, for dialects that give them as an object."""

import msgspec

from api.tools import JsonObject
from jobs.generation import ToolCall

_JSON_OBJECT = msgspec.json.Decoder(JsonObject)


def tool_input(call: ToolCall) -> msgspec.Raw:
    """A JSON object. Where the model wrote none, what it wrote is in there as text: {"arguments": text}."""
    try:
        _JSON_OBJECT.decode(call.arguments)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return msgspec.Raw(msgspec.json.encode({"arguments": call.arguments}))
    return msgspec.Raw(call.arguments.encode())
