"""Cohere's errors."""

import msgspec

from api.errors import ErrorFormat, Fault


class CohereError(msgspec.Struct, frozen=True):
    message: str


def cohere_envelope(fault: Fault) -> bytes:
    """A CohereError as JSON."""
    return msgspec.json.encode(CohereError(fault.message))


COHERE_ERRORS = ErrorFormat(cohere_envelope, (CohereError,))
