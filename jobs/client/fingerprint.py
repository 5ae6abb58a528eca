"""What an idempotency key stands for: a digest of what a caller has asked for."""

import functools
import hashlib
from typing import Any

import msgspec
from msgspec.structs import NODEFAULT

from jobs.job import Job


def fingerprint(job: Job) -> str:
    """Equal for equal requests, and different for others.

    A field that has its default counts as not set. So a version of mlxq that adds a field with a default makes the same
    fingerprint as one that does not know the field, and a request that is sent again meanwhile finds its job.
    """
    return hashlib.blake2b(msgspec.msgpack.encode(_what_is_set(job)), digest_size=16).hexdigest()


def _what_is_set(value: Any) -> Any:
    """The same value without the fields that have their defaults, the others in the order of their names."""
    if isinstance(value, msgspec.Struct):
        fields = [
            (name, _what_is_set(getattr(value, name)), default) for name, default in _defaults(type(value))
        ]
        return [
            value.__struct_config__.tag,
            {name: given for name, given, default in fields if given != default},
        ]
    if isinstance(value, tuple | list):
        return [_what_is_set(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return [[name, _what_is_set(value[name])] for name in sorted(value)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return value


@functools.cache
def _defaults(kind: type[msgspec.Struct]) -> tuple[tuple[str, Any], ...]:
    """Each field's name and what is set of its default, in the order of the names. NODEFAULT: it has none."""
    fields = sorted(msgspec.structs.fields(kind), key=lambda field: field.name)
    defaults = (f.default if f.default_factory is NODEFAULT else f.default_factory() for f in fields)
    return tuple((f.name, _what_is_set(default)) for f, default in zip(fields, defaults, strict=True))
