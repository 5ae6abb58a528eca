"""What becomes of a body's fields, said where they are declared. Errors and docs/parameters.md show the same words."""

import functools
import types
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from jobs.errors import InvalidInput

NOTHING: tuple[Any, ...] = (None, False, "", [], {})
"""Values by which clients ask for nothing."""


class Refused(NamedTuple):
    """Annotates a field that would change the answer, and is not built: `Annotated[Any, Refused("…")] = None`."""

    why: str
    """Sentences behind the field's name and a colon."""
    unless: tuple[Any, ...] = NOTHING
    """Values that are taken, because the answer is then what it is without the field."""
    or_if: Callable[[Any], bool] | None = None
    """Whether another value is taken for the same reason."""

    def takes(self, value: Any) -> bool:
        """Whether the value asks for nothing."""
        return any(_equal(value, taken) for taken in self.unless) or bool(self.or_if and self.or_if(value))


class NoEffect(NamedTuple):
    """Annotates a field that no answer depends on: it is taken, and not used."""

    why: str
    """A sentence."""


class Parameter(NamedTuple):
    """A field of a body or a query. name: with the names of the objects that it is in."""

    name: str
    treatment: Refused | NoEffect | None
    """None: it works."""


def parameters_of(shape: type[msgspec.Struct]) -> list[Parameter]:
    """Of the struct, in its order; of an object in it each field, where not all of them work."""
    found: list[Parameter] = []
    for each in msgspec.structs.fields(shape):
        found.append(Parameter(each.encode_name, _treatment(each.type)))
        inner = [within for nested in _structs_in(each.type) for within in parameters_of(nested)]
        if any(within.treatment for within in inner):
            found += [Parameter(f"{each.encode_name}.{name}", treatment) for name, treatment in inner]
    return found


def fields_inside(shape: type[msgspec.Struct]) -> dict[str, set[str]]:
    """Of each field that is an object (or may be one): that object's own fields."""
    found = {each.encode_name: _structs_in(each.type) for each in msgspec.structs.fields(shape)}
    return {
        name: {inner.encode_name for struct in structs for inner in msgspec.structs.fields(struct)}
        for name, structs in found.items()
        if structs
    }


def refuse_unbuilt(asked: object) -> None:
    """asked: a body. Raises InvalidInput, naming the field, for the first that is Refused and asks for something."""
    if isinstance(asked, msgspec.Struct):
        _refuse(asked, ())


def _refuse(asked: msgspec.Struct, path: Sequence[str]) -> None:
    for field, name, refused in _checks(type(asked)):
        value = getattr(asked, field)
        here = (*path, name)
        if refused is None:
            if isinstance(value, msgspec.Struct):
                _refuse(value, here)
        elif not refused.takes(value):
            raise InvalidInput(f"{'.'.join(here)}: {refused.why}", param=here[0])


def _equal(value: Any, taken: Any) -> bool:
    """As JSON has it: 1 is 1.0, and no true."""
    return value == taken and isinstance(value, bool) == isinstance(taken, bool)


@functools.lru_cache(maxsize=256)
def _checks(shape: type[msgspec.Struct]) -> tuple[tuple[str, str, Refused | None], ...]:
    """Attribute, name and refusal of each field that may be refused; None for an object that has such."""
    found: list[tuple[str, str, Refused | None]] = []
    for each in msgspec.structs.fields(shape):
        treatment = _treatment(each.type)
        if isinstance(treatment, Refused):
            found.append((each.name, each.encode_name, treatment))
        elif any(_checks(nested) for nested in _structs_in(each.type)):
            found.append((each.name, each.encode_name, None))
    return tuple(found)


def _treatment(kind: Any) -> Refused | NoEffect | None:
    notes: tuple[Any, ...] = getattr(kind, "__metadata__", ())
    return next((note for note in notes if isinstance(note, Refused | NoEffect)), None)


def _structs_in(kind: Any) -> list[type[msgspec.Struct]]:
    """Those that the field may be, not those in its lists."""
    origin, kinds = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _structs_in(kinds[0])
    if origin in (typing.Union, types.UnionType):
        return [found for each in kinds for found in _structs_in(each)]
    return [kind] if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else []
