"""Cohere's errors."""

import msgspec

from api.errors import ErrorFormat, Fault
from jobs.errors import InputTooLong


class CohereError(msgspec.Struct, frozen=True):
    message: str


def cohere_envelope(fault: Fault) -> bytes:
    """A CohereError as JSON."""
    # LiteLLM knows a full context by these words alone.
    before = "too many tokens: " if fault.code == InputTooLong.code else ""
    return msgspec.json.encode(CohereError(before + fault.message))


COHERE_ERRORS = ErrorFormat(cohere_envelope, (CohereError,))
