"""OpenAI's chat completion, whole."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from api.replies.logprobs import ChatLogprobs, chat_logprobs
from api.replies.usage import Tally, Usage
from jobs.errors import InternalError
from jobs.generate import Choice, FinishReason, GenerateResult, ToolCall
from jobs.job import Result

Unset = msgspec.UnsetType
UNSET = msgspec.UNSET

ID_PREFIX = "chatcmpl-"
"""A completion's id is this and the job's id."""


class FunctionReply(msgspec.Struct, frozen=True):
    name: str
    arguments: str


class CallReply(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["function"] = "function"
    function: FunctionReply


class ChatMessageReply(msgspec.Struct, frozen=True, kw_only=True):
    """content: null where the model only called tools."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    reasoning_content: str | Unset = UNSET
    tool_calls: list[CallReply] | Unset = UNSET


class ChatChoice(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    message: ChatMessageReply
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason


class ChatReply(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


def encode_chat(result: Result, *, job_id: str, model: str, created: int) -> bytes:
    """The reply as JSON bytes. created: seconds since the epoch. Raises InternalError for another task's result."""
    if not isinstance(result, GenerateResult):
        raise InternalError
    tally = Tally()
    tally.add_result(0, result)
    reply = ChatReply(
        id=ID_PREFIX + job_id,
        created=created,
        model=model,
        choices=[_choice(index, choice) for index, choice in enumerate(result.choices)],
        usage=tally.usage(),
    )
    return msgspec.json.encode(reply)


def call_replies(calls: Sequence[ToolCall]) -> list[CallReply]:
    """Calls as a message of the assistant has them."""
    return [CallReply(id=call.id, function=FunctionReply(call.name, call.arguments)) for call in calls]


def _choice(index: int, choice: Choice) -> ChatChoice:
    message = ChatMessageReply(
        content=None if choice.tool_calls and not choice.text else choice.text,
        reasoning_content=choice.reasoning or UNSET,
        tool_calls=call_replies(choice.tool_calls) or UNSET,
    )
    return ChatChoice(
        index=index,
        message=message,
        logprobs=chat_logprobs(choice.logprobs) if choice.logprobs else None,
        finish_reason=choice.finish_reason,
    )
