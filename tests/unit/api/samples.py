"""A valid value of any type that a body is read as."""

from enum import Enum
from typing import Any

from msgspec import inspect


def sample(kind: inspect.Type) -> Any:
    """As JSON has it; the smallest that the type allows, and not null where anything else is."""
    match kind:
        case inspect.IntType() | inspect.FloatType():
            return _number(kind)
        case inspect.StrType():
            return "right" if kind.pattern else "a"
        case inspect.BoolType():
            return True
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.EnumType():
            first: Enum = next(iter(kind.cls))
            return first.value
        case inspect.UnionType():
            return next(sample(each) for each in kind.types if not isinstance(each, inspect.NoneType))
        case inspect.VarTupleType() | inspect.ListType():
            return [sample(kind.item_type)]
        case inspect.DictType():
            return {str(sample(kind.key_type)): sample(kind.value_type)}
        case inspect.StructType():
            return _struct(kind)
        case inspect.Metadata():
            return sample(kind.type)
        case _:
            return {}


def _number(kind: inspect.IntType | inspect.FloatType) -> int | float:
    least = kind.ge if kind.ge is not None else 0 if kind.gt is not None else 1
    one = max(least, 1)
    return one if kind.le is None or one <= kind.le else least


def _struct(kind: inspect.StructType) -> dict[str, Any]:
    found = {field.encode_name: sample(field.type) for field in kind.fields if field.required}
    return found | ({kind.tag_field: kind.tag} if kind.tag_field else {})
