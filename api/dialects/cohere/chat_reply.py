"""Cohere's chat as a whole reply, and what its streams share with it."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from api.dialects.cohere.messages import TextContent, ThinkingContent
from api.replies.usage import Tally
from jobs.errors import InternalError
from jobs.generate import LEAST_LOGPROB, Choice, FinishReason, GenerateResult, TokenLogprobs, ToolCall
from jobs.job import Result

CohereFinish = Literal["COMPLETE", "STOP_SEQUENCE", "MAX_TOKENS", "TOOL_CALL", "ERROR"]

_FINISHES: dict[FinishReason, CohereFinish] = {
    "stop": "COMPLETE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
}


class FunctionCallReply(msgspec.Struct, frozen=True):
    name: str
    arguments: str


class CohereCallReply(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["function"] = "function"
    function: FunctionCallReply


class CohereAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """tool_plan: what the model wrote before its calls, where there are calls."""

    role: Literal["assistant"] = "assistant"
    content: list[TextContent | ThinkingContent] | UnsetType = UNSET
    tool_plan: str | UnsetType = UNSET
    tool_calls: list[CohereCallReply] | UnsetType = UNSET


class CohereTokens(msgspec.Struct, frozen=True, kw_only=True):
    input_tokens: int
    output_tokens: int


class CohereUsage(msgspec.Struct, frozen=True, kw_only=True):
    """billed_units: what Cohere would count; nobody is billed. cached_tokens: input tokens not computed anew."""

    billed_units: CohereTokens
    tokens: CohereTokens
    cached_tokens: int


class CohereLogprobs(msgspec.Struct, frozen=True, kw_only=True):
    """Of one token or, in a stream, of those that came together."""

    text: str
    token_ids: list[int]
    logprobs: list[float]


class CohereChatReply(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    finish_reason: CohereFinish
    message: CohereAnswer
    usage: CohereUsage
    logprobs: list[CohereLogprobs] | UnsetType = UNSET


def encode_cohere_chat(result: Result, *, job_id: str, logprobs: bool) -> bytes:
    """The reply as JSON bytes. Raises InternalError for another task's result."""
    if not isinstance(result, GenerateResult):
        raise InternalError
    [choice] = result.choices
    tally = Tally()
    tally.add_result(0, result)
    reply = CohereChatReply(
        id=job_id,
        finish_reason=finish_of(choice.finish_reason, choice.stop),
        message=_answer(choice),
        usage=usage_of(tally),
        logprobs=_each(choice.logprobs) if logprobs else UNSET,
    )
    return msgspec.json.encode(reply)


def finish_of(finish: FinishReason, stop: str | None) -> CohereFinish:
    """stop: the caller's text that ended the answer."""
    return "STOP_SEQUENCE" if finish == "stop" and stop is not None else _FINISHES[finish]


def usage_of(tally: Tally) -> CohereUsage:
    """Cohere's usage object."""
    tokens = CohereTokens(input_tokens=tally.prompt_tokens, output_tokens=tally.completion_tokens)
    return CohereUsage(billed_units=tokens, tokens=tokens, cached_tokens=tally.cached_tokens)


def call_reply(call: ToolCall) -> CohereCallReply:
    """A call as a message of the assistant has it."""
    return CohereCallReply(id=call.id, function=FunctionCallReply(call.name, call.arguments))


def logprobs_of(text: str, given: Sequence[TokenLogprobs]) -> CohereLogprobs:
    """Of tokens that make up a text; such as are no part of it are left out."""
    shown = [each.chosen for each in given if not each.hidden]
    return CohereLogprobs(
        text=text,
        token_ids=[token.id for token in shown if token.id is not None],
        logprobs=[max(token.logprob, LEAST_LOGPROB) for token in shown],
    )


def _each(given: Sequence[TokenLogprobs]) -> list[CohereLogprobs]:
    return [logprobs_of(each.chosen.text, [each]) for each in given if not each.hidden]


def _answer(choice: Choice) -> CohereAnswer:
    """An answer without anything in it has an empty text, where clients look for one."""
    content: list[TextContent | ThinkingContent] = []
    if choice.reasoning:
        content.append(ThinkingContent(choice.reasoning))
    if not choice.tool_calls:
        content.append(TextContent(choice.text))
    return CohereAnswer(
        content=content or UNSET,
        tool_plan=(choice.text or UNSET) if choice.tool_calls else UNSET,
        tool_calls=[call_reply(call) for call in choice.tool_calls] or UNSET,
    )
