"""Patterns that no grammar can follow: pydantic writes one for each Decimal."""

import re
from typing import Any

from workers.runners.generate.structured_output.closed_schema import MAPS

_LOOK_AROUND = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?<?[=!]|\\[1-9]|\\k[<{'])")
"""Look-around, and back-references. Behind an odd number of backslashes it is neither."""

_VALUES = ("const", "default", "enum", "example", "examples")
"""Keywords whose values are no schemas."""


def without_look_around(schema: Any) -> Any:
    """A copy of a schema without the patterns that look around or refer back; a name that has to match one may be any.

    Raises RecursionError.
    """
    if isinstance(schema, list):
        return [without_look_around(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for keyword, value in _with_any_name(schema).items():
        if keyword == "pattern" and isinstance(value, str) and _LOOK_AROUND.search(value):
            continue
        if keyword in MAPS and isinstance(value, dict):
            made[keyword] = {name: without_look_around(each) for name, each in value.items()}
        else:
            made[keyword] = value if keyword in _VALUES else without_look_around(value)
    return made


def _with_any_name(schema: dict[str, Any]) -> dict[str, Any]:
    """What is said of properties by a pattern that looks around is said of all that are not named otherwise."""
    named = schema.get("patternProperties")
    if not isinstance(named, dict):
        return schema
    kept = {name: each for name, each in named.items() if not _LOOK_AROUND.search(name)}
    if len(kept) == len(named):
        return schema
    others = [each for name, each in named.items() if name not in kept]
    given = schema.get("additionalProperties", False)
    if given is not False:
        others.append(given)
    additional = True if True in others else others[0] if len(others) == 1 else {"anyOf": others}
    return {**schema, "patternProperties": kept, "additionalProperties": additional}
