"""Voyage AI's errors."""

import msgspec

from api.errors import ErrorFormat, Fault


class VoyageError(msgspec.Struct, frozen=True):
    detail: str


def voyage_envelope(fault: Fault) -> bytes:
    """A VoyageError as JSON."""
    return msgspec.json.encode(VoyageError(fault.message))


VOYAGE_ERRORS = ErrorFormat(voyage_envelope, (VoyageError,))
