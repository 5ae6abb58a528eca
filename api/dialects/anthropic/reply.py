"""Anthropic's message, whole; its errors; and what its stream shares with it."""

from typing import Literal

import msgspec

from api.errors import ErrorFormat, Fault
from api.replies.usage import Tally
from api.requests.tools import JsonText, partial_input
from jobs.errors import InternalError
from jobs.generate import Choice, FinishReason, GenerateResult
from jobs.job import Result

StopReason = Literal["end_turn", "max_tokens", "tool_use", "stop_sequence"]

_STOP_REASONS: dict[FinishReason, StopReason] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
}
# Anthropic's own error types; the nearest one for statuses that it does not use.
_ERROR_TYPES = {
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_SERVER_ERROR = 500


class ThinkingReply(msgspec.Struct, frozen=True, tag="thinking"):
    """signature: empty, for nobody checks it."""

    thinking: str
    signature: str = ""


class TextReply(msgspec.Struct, frozen=True, tag="text"):
    text: str


class ToolUseReply(msgspec.Struct, frozen=True, tag="tool_use"):
    id: str
    name: str
    input: JsonText


BlockReply = ThinkingReply | TextReply | ToolUseReply


class AnthropicUsage(msgspec.Struct, frozen=True, kw_only=True):
    """input_tokens: those computed anew; with cache_read_input_tokens they are the whole prompt."""

    input_tokens: int
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int
    output_tokens: int


class MessageReply(msgspec.Struct, frozen=True, kw_only=True):
    """stop_sequence: the one that ended the answer, where that is the stop_reason."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[BlockReply]
    stop_reason: StopReason | None
    stop_sequence: str | None = None
    usage: AnthropicUsage


class CountReply(msgspec.Struct, frozen=True):
    input_tokens: int


class AnthropicFault(msgspec.Struct, frozen=True):
    type: str
    message: str


class AnthropicError(msgspec.Struct, frozen=True, tag="error"):
    error: AnthropicFault


def encode_message(result: Result, *, job_id: str, model: str) -> bytes:
    """The reply as JSON bytes. Raises InternalError for another task's result."""
    if not isinstance(result, GenerateResult):
        raise InternalError
    [choice] = result.choices
    tally = Tally()
    tally.add_result(0, result)
    stop_reason, stop_sequence = ending(choice.finish_reason, choice.stop)
    reply = MessageReply(
        id=message_id(job_id),
        model=model,
        content=_content(choice),
        stop_reason=stop_reason,
        stop_sequence=stop_sequence,
        usage=usage_of(tally),
    )
    return msgspec.json.encode(reply)


def encode_count(result: Result) -> bytes:
    """The reply as JSON bytes. Raises InternalError for another task's result."""
    if not isinstance(result, GenerateResult):
        raise InternalError
    return msgspec.json.encode(CountReply(result.prompt_tokens))


def message_id(job_id: str) -> str:
    """The job's id, in the form of Anthropic's ids."""
    return f"msg_{job_id}"


def ending(finish: FinishReason, stop: str | None) -> tuple[StopReason, str | None]:
    """stop_reason and stop_sequence. stop: the text that ended the answer. An answer with calls ends with tool_use."""
    if finish == "stop" and stop is not None:
        return "stop_sequence", stop
    return _STOP_REASONS[finish], None


def usage_of(tally: Tally) -> AnthropicUsage:
    """Anthropic's usage object."""
    return AnthropicUsage(
        input_tokens=tally.prompt_tokens - tally.cached_tokens,
        cache_read_input_tokens=tally.cached_tokens,
        output_tokens=tally.completion_tokens,
    )


def anthropic_envelope(fault: Fault) -> bytes:
    """An AnthropicError as JSON."""
    otherwise = "api_error" if fault.status >= _SERVER_ERROR else "invalid_request_error"
    kind = _ERROR_TYPES.get(fault.status, otherwise)
    return msgspec.json.encode(AnthropicError(AnthropicFault(kind, fault.message)))


ANTHROPIC_ERRORS = ErrorFormat(anthropic_envelope, (AnthropicError,))


def _content(choice: Choice) -> list[BlockReply]:
    blocks: list[BlockReply] = []
    if choice.reasoning:
        blocks.append(ThinkingReply(choice.reasoning))
    if choice.text:
        blocks.append(TextReply(choice.text))
    blocks += [ToolUseReply(call.id, call.name, partial_input(call)) for call in choice.tool_calls]
    return blocks
