"""The serializer RQ is given: msgpack, never pickle, so that reading Redis cannot run code."""

from typing import Any

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
