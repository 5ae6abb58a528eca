"""Anthropic's message as a whole reply, and what its streams share with it."""

import base64
import hashlib
from typing import Literal, NamedTuple

import msgspec

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


class MessageForm(NamedTuple):
    """How a message is written."""

    hides_thoughts: bool = False
    """Blocks of thoughts have a signature and no text."""
    tells_caching: bool = False
    """What was computed anew of the prompt is what the prefix cache was given."""


class ThinkingReply(msgspec.Struct, frozen=True, tag="thinking"):
    """signature: SHA-256 of the thoughts, in base64. Nobody checks it; clients drop thoughts that have none."""

    thinking: str
    signature: str


class TextReply(msgspec.Struct, frozen=True, tag="text"):
    text: str


class ToolUseReply(msgspec.Struct, frozen=True, tag="tool_use"):
    id: str
    name: str
    input: JsonText


BlockReply = ThinkingReply | TextReply | ToolUseReply


class AnthropicUsage(msgspec.Struct, frozen=True, kw_only=True):
    """The three kinds of input tokens are the whole prompt together. input_tokens: computed anew.
    cache_creation_input_tokens: these, where the request asks for caching. cache_read_input_tokens: not computed anew.
    """

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


def encode_message(result: Result, *, job_id: str, model: str, form: MessageForm) -> bytes:
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
        content=_content(choice, form),
        stop_reason=stop_reason,
        stop_sequence=stop_sequence,
        usage=usage_of(tally, form),
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


def usage_of(tally: Tally, form: MessageForm) -> AnthropicUsage:
    """Anthropic's usage object."""
    computed = tally.prompt_tokens - tally.cached_tokens
    return AnthropicUsage(
        input_tokens=0 if form.tells_caching else computed,
        cache_creation_input_tokens=computed if form.tells_caching else 0,
        cache_read_input_tokens=tally.cached_tokens,
        output_tokens=tally.completion_tokens,
    )


def signature(thoughts: str) -> str:
    """Of a block of thoughts: the same for the same ones."""
    return base64.b64encode(hashlib.sha256(thoughts.encode()).digest()).decode()


def _content(choice: Choice, form: MessageForm) -> list[BlockReply]:
    blocks: list[BlockReply] = []
    if choice.reasoning:
        shown = "" if form.hides_thoughts else choice.reasoning
        blocks.append(ThinkingReply(shown, signature(choice.reasoning)))
    if choice.text:
        blocks.append(TextReply(choice.text))
    blocks += [ToolUseReply(call.id, call.name, partial_input(call)) for call in choice.tool_calls]
    return blocks
