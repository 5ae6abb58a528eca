"""Anthropic's errors."""

import msgspec
from msgspec import UNSET, UnsetType

from api.errors import ErrorFormat, Fault
from jobs.errors import InputTooLong

# Anthropic's own error types; the nearest one for statuses that it does not use.
_ERROR_TYPES = {
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_SERVER_ERROR = 500


class FaultDetails(msgspec.Struct, frozen=True):
    """Anthropic's clients send the whole conversation, and no `thread`, after an error with these."""

    error_code: str
    unsupported: tuple[str, ...]


_NO_THREADS = FaultDetails("thread_unsupported_request", ("thread",))


class AnthropicFault(msgspec.Struct, frozen=True):
    type: str
    message: str
    details: FaultDetails | UnsetType = UNSET


class AnthropicError(msgspec.Struct, frozen=True, tag="error"):
    error: AnthropicFault


def anthropic_envelope(fault: Fault) -> bytes:
    """An AnthropicError as JSON."""
    otherwise = "api_error" if fault.status >= _SERVER_ERROR else "invalid_request_error"
    kind = _ERROR_TYPES.get(fault.status, otherwise)
    # Claude Code, LangChain and LiteLLM know a full context by these words alone.
    before = "prompt is too long: " if fault.code == InputTooLong.code else ""
    details = _NO_THREADS if fault.param == "thread" else UNSET
    return msgspec.json.encode(AnthropicError(AnthropicFault(kind, before + fault.message, details)))


ANTHROPIC_ERRORS = ErrorFormat(anthropic_envelope, (AnthropicError,))
