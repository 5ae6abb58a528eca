"""Tools that a model may call, as every dialect gives them: checked, and put into the job's form."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from jobs.errors import InvalidInput
from jobs.format_limits import check_tools
from jobs.generate import Tool

JsonObject = dict[str, Any]
"""JSON that is the model's or the template's to understand: a schema, variables."""

JsonText = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]
"""A JSON object that goes into a reply as it is."""

_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_NO_PARAMETERS = Tool("").parameters
_JSON_OBJECT = msgspec.json.Decoder(JsonObject)


def object_text(value: Mapping[str, object], param: str) -> str:
    """JSON. Raises InvalidInput, naming the field, for what is nested too deeply.

    What could be decoded cannot always be encoded: how deep either goes depends on the calls that it is made in.
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
    place: str,
    param: str,
) -> Tool:
    """Raises InvalidInput, naming the place, for what cannot be a function's name."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{place}: a function's name has 1 to 128 letters, digits, '_', '-' and '.', not {name[:200]!r}.",
            param=param,
        )
    schema = object_text(parameters, param) if parameters else _NO_PARAMETERS
    return Tool(name=name, description=description or "", parameters=schema, strict=bool(strict))


def check_choice(tools: Sequence[Tool], *, must_call: bool, name: str | None, param: str) -> None:
    """Raises InvalidInput where a call is asked for that no tool can answer, or by a schema that is too large."""
    if must_call and not tools:
        raise InvalidInput(f"{param} asks for a call, but there are no tools.", param=param)
    if name is not None and name not in [each.name for each in tools]:
        raise InvalidInput(f"{param} names {name[:200]!r}, which is none of the tools.", param=param)
    check_tools([each for each in tools if name in (None, each.name)], must_call=must_call)


def call_arguments(text: str, *, place: str, param: str) -> str:
    """The arguments of an earlier call as a JSON object. Raises InvalidInput for anything else."""
    if not text.strip():
        return "{}"
    try:
        _JSON_OBJECT.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidInput(f"{place} is not a JSON object: {error}.", param=param) from error
    return text
