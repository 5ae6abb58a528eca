"""The serializers RQ is given: msgpack, never pickle, so that reading Redis cannot run code."""

from typing import Any, cast

import msgspec

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()


class MsgpackSerializer:
    """RQ's serializer protocol (rq/serializers.py). Structs come back as plain dicts."""

    @staticmethod
    def dumps(obj: Any) -> bytes:
        """The object as msgpack. Raises: TypeError for what msgpack cannot hold."""
        return _encoder.encode(obj)

    @staticmethod
    def loads(data: bytes) -> Any:
        """Plain values, with dicts for structs. Raises: msgspec.DecodeError."""
        return _decoder.decode(data)


class ReadableSerializer(MsgpackSerializer):
    """For tools that show jobs to people as JSON, such as rq-dashboard: JSON has no bytes."""

    @staticmethod
    def loads(data: bytes) -> Any:
        """Plain values; for bytes, such as those of vectors, how many there are. Raises: msgspec.DecodeError."""
        return _readable(_decoder.decode(data))


def _readable(value: Any) -> Any:
    match value:
        case bytes():
            return f"{len(value)} bytes"
        case dict():
            found = cast(dict[Any, Any], value)
            return {str(key): _readable(each) for key, each in found.items()}
        case list() | tuple():
            return [_readable(each) for each in cast(list[Any], value)]
        case _:
            return value
