"""JSON schemas of the types that go in and out, as components of an OpenAPI document."""

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

COMPONENTS = "#/components/schemas/"

Schema = dict[str, Any]

_NULL: Schema = {"type": "null"}


class Schemas:
    """Structs and enums are components with the names of their classes.

    read: types of requests; null stands for a field that may be left out. written: types of replies. In a struct that
    only replies have, a field is required unless its default is UNSET, because it is always written.
    """

    def __init__(self, read: Iterable[Any], written: Iterable[Any]) -> None:
        read, written = list(read), list(written)
        shapes = list(dict.fromkeys([*read, *written]))
        made, self.components = described(shapes)
        self._made = dict(zip(shapes, made, strict=True))
        in_replies = self._used([self._made[shape] for shape in written])
        in_requests = self._used([self._made[shape] for shape in read])
        for name in in_replies - in_requests:
            _require_what_is_written(self.components[name])
        for name in in_requests:
            _allow_null(self.components[name])

    def one_of(self, shapes: Sequence[Any]) -> Schema:
        """The schema of a value that has one of these types."""
        found = [self._made[shape] for shape in shapes]
        return found[0] if len(found) == 1 else {"anyOf": found}

    def _used(self, schemas: Iterable[Schema]) -> set[str]:
        """Names of the components that these refer to, and of those that they refer to in turn."""
        found: set[str] = set()
        left = {name for schema in schemas for name in _references(schema)}
        while left:
            name = left.pop()
            found.add(name)
            left |= set(_references(self.components[name])) - found
        return found


def described(shapes: Sequence[Any]) -> tuple[tuple[Schema, ...], dict[str, Schema]]:
    """The schema of each, and the components to which they refer."""
    schemas, components = msgspec.json.schema_components(shapes, ref_template=COMPONENTS + "{name}")
    for component in components.values():
        _loosen_tuples(component)
        if "description" in component:
            component["description"] = inspect.cleandoc(component["description"])
    return schemas, dict(sorted(components.items()))


def _loosen_tuples(node: Any) -> None:
    """Generators of clients know no `items: false`; minItems and maxItems say the same of a tuple."""
    if isinstance(node, dict):
        items: dict[str, Any] = node  # pyright: ignore[reportUnknownVariableType]
        if items.get("items") is False:
            del items["items"]
        for value in items.values():
            _loosen_tuples(value)
    elif isinstance(node, list):
        values: list[Any] = node  # pyright: ignore[reportUnknownVariableType]
        for value in values:
            _loosen_tuples(value)


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        items: dict[str, Any] = node  # pyright: ignore[reportUnknownVariableType]
        own = [items["$ref"].removeprefix(COMPONENTS)] if "$ref" in items else []
        return own + [name for value in items.values() for name in _references(value)]
    if isinstance(node, list):
        values: list[Any] = node  # pyright: ignore[reportUnknownVariableType]
        return [name for value in values for name in _references(value)]
    return []


def _allow_null(component: Schema) -> None:
    """In each property that may be left out. Generators of clients know no object as the default of several types."""
    properties: dict[str, Schema] = component.get("properties", {})
    for name in properties.keys() - set(component.get("required", ())):
        schema = properties[name]
        kinds = schema.get("anyOf", [schema] if schema.keys() - {"default"} else [])
        if not kinds or _NULL in kinds:
            continue
        default = schema.pop("default", None)
        properties[name] = {"anyOf": [*kinds, _NULL]}
        if default is not None and not isinstance(default, dict):
            properties[name]["default"] = default


def _require_what_is_written(component: Schema) -> None:
    properties: dict[str, Schema] = component.get("properties", {})
    written = [name for name, schema in properties.items() if "default" in schema]
    for name in written:
        del properties[name]["default"]
    if written:
        component["required"] = [
            name for name in properties if name in {*component.get("required", ()), *written}
        ]
