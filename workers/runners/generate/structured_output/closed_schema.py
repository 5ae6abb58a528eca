"""Closes a JSON schema: an object has the properties that its schema lists, unless the schema says otherwise.

A small model that may invent keys does not come to an end. Schemas may describe one value together (allOf, anyOf,
oneOf, $ref, and the keywords beside them): each of them must then allow what another one lists.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

MAX_NAMES = 100_000
"""Schemas and names in the closed one. References are copied where they describe a value together with others."""

TOGETHER = ("allOf", "anyOf", "oneOf", "$ref")
SCHEMAS = ("items", "additionalItems", "additionalProperties", "contains")
LISTED = ("properties", "patternProperties")
LISTS = ("items", "prefixItems")
MAPS = ("properties", "patternProperties", "$defs", "definitions")

Schema = dict[str, Any]
Names = dict[str, None]
"""Names of properties, in order."""


def closed(schema: Schema) -> Schema:
    """A copy in which an object with `properties` has no others, unless `additionalProperties` is said, and a list with
    `prefixItems` no further items, unless `items` is said. Raises ValueError or RecursionError where it is too complex.
    """
    return _Closing(schema).close(schema)


class _Closing:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._left = MAX_NAMES
        self._listed: dict[str, Names | None] = {}  # by reference

    def close(self, schema: Any) -> Any:
        """A schema that describes its value alone."""
        return self._close(schema, {}, frozenset()) if isinstance(schema, dict) else schema

    def _close(self, schema: Schema, around: Names | None, copied: frozenset[str]) -> Schema:
        """around: what the schemas list that describe the same value; None: it is open. copied: references in whose
        copy this is.
        """
        is_alone = around == {} and not any(keyword in schema for keyword in TOGETHER)
        base = _union(
            [around, _own(schema, is_alone), *map(self._names, _list(schema, "allOf")), self._target(schema)]
        )
        groups = {keyword: _union(map(self._names, _list(schema, keyword))) for keyword in ("anyOf", "oneOf")}
        names = _union([base, *groups.values()])
        self._spend(1 + len(names or ()))
        made: Schema = {}
        for keyword, value in schema.items():
            if keyword == "$ref" and self._must_copy(value, names, copied):
                target = self._find(value)
                made.setdefault("allOf", []).append(self._close(target, names, copied | {value}))
            elif keyword == "allOf" and isinstance(value, list):
                made.setdefault("allOf", []).extend(self._each(value, names, copied))
            elif keyword in groups and isinstance(value, list):
                others = [found for other, found in groups.items() if other != keyword]
                made[keyword] = self._each(value, _union([base, *others]), copied)
            else:
                made[keyword] = self._inside(keyword, value)
        if names is not None and any(isinstance(schema.get(keyword), dict) for keyword in LISTED):
            listed: Schema = made.get("properties", {})
            made["properties"] = {**listed, **{name: True for name in names if name not in listed}}
            made["additionalProperties"] = False
        return _without_further_items(made) if is_alone else made

    def _each(self, schemas: list[Any], around: Names | None, copied: frozenset[str]) -> list[Any]:
        return [self._close(each, around, copied) if isinstance(each, dict) else each for each in schemas]

    def _inside(self, keyword: str, value: Any) -> Any:
        """What a keyword says of the values within this one."""
        if keyword in MAPS and isinstance(value, dict):
            return {name: self.close(each) for name, each in value.items()}
        if keyword in LISTS and isinstance(value, list):
            return [self.close(each) for each in value]
        return self.close(value) if keyword in SCHEMAS else value

    def _must_copy(self, reference: Any, names: Names | None, copied: frozenset[str]) -> bool:
        """Whether the schema that is referred to, closed by itself, would forbid what is listed here."""
        if (
            not isinstance(reference, str)
            or reference in copied
            or not isinstance(self._find(reference), dict)
        ):
            return False
        listed = self._names({"$ref": reference})
        return listed is not None and (names is None or not names.keys() <= listed.keys())

    def _names(self, schema: Any) -> Names | None:
        """What a schema lists, and those that describe the value together with it. None: one of them is open."""
        if not isinstance(schema, dict):
            return {}
        parts = [part for keyword in ("anyOf", "oneOf") for part in _list(schema, keyword)]
        return _union(
            [_own(schema), *map(self._names, (*_list(schema, "allOf"), *parts)), self._target(schema)]
        )

    def _target(self, schema: Schema) -> Names | None:
        """What a schema's reference lists."""
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return {}
        if reference not in self._listed:
            self._listed[reference] = {}  # of one that leads back to itself
            found = self._find(reference)
            self._spend(1)
            self._listed[reference] = None if found is None else self._names(found)
        return self._listed[reference]

    def _find(self, reference: str) -> Any:
        """What a reference within the schema points to; None for any other."""
        if not reference.startswith("#"):
            return None
        found: Any = self._root
        for step in filter(None, unquote(reference[1:]).split("/")):
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            elif isinstance(found, dict) and name in found:
                found = found[name]
            else:
                return None
        return found

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise ValueError("its schemas refer to each other too often")


def _own(schema: Schema, is_alone: bool = False) -> Names | None:
    """What a schema itself lists; None: it says that there may be others."""
    properties = schema.get("properties")
    required = schema.get("required")
    names: Names = dict.fromkeys(properties) if isinstance(properties, dict) else {}
    if isinstance(required, list):
        names |= dict.fromkeys(name for name in required if isinstance(name, str))
    least = schema.get("minProperties")
    is_open = "additionalProperties" in schema or "unevaluatedProperties" in schema
    is_open |= "patternProperties" in schema and not is_alone
    is_open |= isinstance(least, int) and least > len(names)
    return None if is_open else names


def _list(schema: Schema, keyword: str) -> list[Any]:
    found = schema.get(keyword)
    return found if isinstance(found, list) else []


def _union(parts: Iterable[Names | None]) -> Names | None:
    names: Names = {}
    for part in parts:
        if part is None:
            return None
        names |= part
    return names


def _without_further_items(schema: Schema) -> Schema:
    for first, further in (("prefixItems", "items"), ("items", "additionalItems")):
        given = schema.get(first)
        if isinstance(given, list) and not {further, "unevaluatedItems"} & schema.keys():
            least = schema.get("minItems")
            if not isinstance(least, int) or least <= len(given):
                return {**schema, further: False}
    return schema
