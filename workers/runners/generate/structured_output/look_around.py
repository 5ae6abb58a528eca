"""Patterns that no grammar can follow: pydantic writes one for each Decimal."""

import re
from typing import Any

_LOOK_AROUND = re.compile(r"\(\?<?[=!]|\\[1-9]|\\k[<{']")
"""Look-around, and back-references."""

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
    for keyword, value in schema.items():
        if keyword == "pattern" and isinstance(value, str) and _LOOK_AROUND.search(value):
            continue
        if keyword == "patternProperties" and isinstance(value, dict):
            value = {name: each for name, each in value.items() if not _LOOK_AROUND.search(name)}
        made[keyword] = value if keyword in _VALUES else without_look_around(value)
    return made
