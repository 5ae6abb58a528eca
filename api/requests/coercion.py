"""What some clients write otherwise and mean the same by: null for what is not said, 16.0 for 16."""

import functools
from typing import Any, TypeVar, cast

import msgspec
from msgspec import inspect

T = TypeVar("T")

_MAX_WHOLE = 2**53
"""Above, a float stands for several integers."""

_Object = dict[str, Any]


def decode_coerced(decoder: msgspec.json.Decoder[T], raw: bytes, refusal: msgspec.ValidationError) -> T:
    """A body that the decoder has refused, read once more: null is taken for a field that is left out, wherever a field
    may be left out and takes no null, and a whole float for an integer, wherever there is no float.

    Raises what the decoder does: msgspec.DecodeError (or its kind ValidationError), UnicodeDecodeError, RecursionError.
    """
    try:
        value = msgspec.json.decode(raw)
    except msgspec.ValidationError:  # a number that nothing holds: the refusal says where
        raise refusal from None
    return decoder.decode(msgspec.json.encode(_coerced(value, _kind(decoder.type))))


@functools.lru_cache(maxsize=256)
def _kind(shape: Any) -> inspect.Type:
    return inspect.type_info(shape)


def _coerced(value: Any, kind: inspect.Type) -> Any:
    """The value as the type has it, as far as that is clear; the decoder judges the rest."""
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    if isinstance(value, float):
        is_whole = value.is_integer() and abs(value) <= _MAX_WHOLE
        return int(value) if is_whole and _takes_integers_only(kinds) else value
    if isinstance(value, dict):
        return _coerced_object(cast(_Object, value), kinds)
    if isinstance(value, list):
        values = cast(list[Any], value)
        for each in kinds:
            if isinstance(each, inspect.ListType | inspect.VarTupleType):
                return [_coerced(item, each.item_type) for item in values]
        return values
    return value


def _takes_integers_only(kinds: tuple[inspect.Type, ...]) -> bool:
    found = {type(each) for each in kinds}
    return inspect.IntType in found and not found & {inspect.FloatType, inspect.AnyType}


def _takes_null(kind: inspect.Type) -> bool:
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return any(isinstance(each, inspect.NoneType | inspect.AnyType) for each in kinds)


def _coerced_object(value: _Object, kinds: tuple[inspect.Type, ...]) -> _Object:
    for each in kinds:
        if isinstance(each, inspect.DictType):
            return {name: _coerced(item, each.value_type) for name, item in value.items()}
        if isinstance(each, inspect.StructType) and each.tag in (None, value.get(each.tag_field or "")):
            return _coerced_struct(value, each)
    return value


def _coerced_struct(value: _Object, kind: inspect.StructType) -> _Object:
    """Fields that the struct does not know are as they were, and null where a field's type has it."""
    found = value.copy()
    for field in kind.fields:
        name = field.encode_name
        if name not in value:
            continue
        if value[name] is None and not field.required and not _takes_null(field.type):
            del found[name]
        else:
            found[name] = _coerced(value[name], field.type)
    return found
