"""Errors as llama.cpp's server writes them."""

import msgspec

from api.errors import ErrorFormat, Fault

_TYPES = {
    401: "authentication_error",
    404: "not_found_error",
    501: "not_supported_error",
    503: "unavailable_error",
}
_SERVER_ERROR = 500


class LlamaErrorBody(msgspec.Struct, frozen=True):
    """code: the status of HTTP."""

    code: int
    message: str
    type: str


class LlamaError(msgspec.Struct, frozen=True):
    error: LlamaErrorBody


def llama_envelope(fault: Fault) -> bytes:
    """A LlamaError as JSON."""
    otherwise = "server_error" if fault.status >= _SERVER_ERROR else "invalid_request_error"
    kind = _TYPES.get(fault.status, otherwise)
    return msgspec.json.encode(LlamaError(LlamaErrorBody(fault.status, fault.message, kind)))


LLAMA_ERRORS = ErrorFormat(llama_envelope, (LlamaError,))
