"""Anthropic's /v1/messages and its count of tokens: the bodies as a job, the whole replies, the errors."""

from typing import Any, Literal

import msgspec

from api.dialects.anthropic.messages import AnthropicMessage, TextBlock, anthropic_messages, system_message
from api.errors import ErrorFormat, Fault
from api.replies.usage import Tally
from api.requests.answer_format import OtherFormats, json_format, refuse_given
from api.requests.generation import (
    Count,
    MaxTokens,
    SamplingRequest,
    Share,
    sampling,
    stops,
    template_options,
)
from api.requests.images import ImageSource
from api.requests.tools import JsonObject, JsonText, check_choice, partial_input, tool
from jobs.answer_format import JsonFormat
from jobs.errors import InternalError, InvalidInput
from jobs.format_limits import check_format
from jobs.generate import Chat, Choice, FinishReason, GenerateJob, GenerateResult, Tool, ToolChoice
from jobs.job import Result

_THINKS = {"enabled": True, "disabled": False}
_CHOICES: dict[str, ToolChoice] = {"auto": "auto", "any": "required", "tool": "required", "none": "none"}

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


class AnthropicTool(msgspec.Struct, frozen=True, kw_only=True):
    """input_schema: JSON schema of the arguments. type: "custom", for it is the caller who runs the tool."""

    name: str
    description: str | None = None
    input_schema: JsonObject | None = None
    type: str | None = None
    strict: bool | None = None


class AnthropicChoice(msgspec.Struct, frozen=True, kw_only=True):
    """any: some tool must be called. tool: the one named."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """adaptive, between_tools: as the model's template has it. A budget of tokens is accepted and not used."""

    type: Literal["enabled", "disabled", "adaptive", "between_tools"]


class OutputFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: Literal["json_schema"]
    schema: JsonObject
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class OutputConfig(msgspec.Struct, frozen=True, kw_only=True):
    """effort: the chat template's reasoning_effort."""

    effort: str | None = None
    format: OutputFormat | None = None


class CountRequest(OtherFormats, frozen=True, kw_only=True):
    """The body of POST /v1/messages/count_tokens. Fields it does not name are ignored.

    output_format: what output_config.format was before. The format of an answer takes no tokens.
    """

    model: str
    messages: tuple[AnthropicMessage, ...]
    system: str | tuple[TextBlock, ...] | None = None
    tools: tuple[AnthropicTool, ...] | None = None
    tool_choice: AnthropicChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None
    format: Any = None


class MessagesRequest(CountRequest, frozen=True, kw_only=True):
    """The body of POST /v1/messages. Fields it does not name are ignored."""

    max_tokens: MaxTokens
    stop_sequences: tuple[str, ...] | None = None
    temperature: Share | None = None
    top_p: Share | None = None
    top_k: Count | None = None
    stream: bool | None = None


async def messages_job(asked: MessagesRequest, source: ImageSource | None) -> GenerateJob:
    """The job that a request asks for; fetches the images it names. Raises InvalidInput naming the field."""
    stop = stops(asked.stop_sequences, "stop_sequences")
    form = _format(asked)
    return GenerateJob(
        model=asked.model,
        prompt=await _chat(asked, source),
        sampling=sampling(
            SamplingRequest(temperature=asked.temperature, top_p=asked.top_p, top_k=asked.top_k)
        ),
        max_tokens=asked.max_tokens,
        stop=stop,
        format=form,
        stream=bool(asked.stream),
    )


def _format(asked: MessagesRequest) -> JsonFormat | None:
    refuse_given(asked, ("format", *OtherFormats.__struct_fields__), "output_config.format")
    given = asked.output_config and asked.output_config.format
    if given and asked.output_format:
        raise InvalidInput(
            "output_config.format and output_format contradict each other.", param="output_format"
        )
    param = "output_config" if given else "output_format"
    given = given or asked.output_format
    if given is None:
        return None
    form = json_format(given.schema, param, strict=given.strict)
    check_format(form)
    return form


async def count_job(asked: CountRequest, source: ImageSource | None) -> GenerateJob:
    """The job that counts the tokens of a prompt and writes nothing. Raises InvalidInput naming the field."""
    return GenerateJob(model=asked.model, prompt=await _chat(asked, source), count_only=True)


async def _chat(asked: CountRequest, source: ImageSource | None) -> Chat:
    tools = tuple(_tool(each, f"tools[{index}]") for index, each in enumerate(asked.tools or ()))
    choice = asked.tool_choice or AnthropicChoice(type="auto")
    name = choice.name if choice.type == "tool" else None
    if choice.type == "tool" and name is None:
        raise InvalidInput("tool_choice.name is missing.", param="tool_choice")
    must_call = choice.type in ("any", "tool")
    check_choice(tools, must_call=must_call, name=name, param="tool_choice")
    thinks = _THINKS.get(asked.thinking.type) if asked.thinking else None
    return Chat(
        template_options=template_options(
            None,
            "thinking",
            enable_thinking=thinks,
            reasoning_effort=asked.output_config and asked.output_config.effort,
        ),
        messages=(*system_message(asked.system), *await anthropic_messages(asked.messages, source)),
        tools=tools,
        tool_choice=_CHOICES[choice.type],
        tool_name=name,
        parallel_tool_calls=not choice.disable_parallel_tool_use,
    )


def _tool(asked: AnthropicTool, path: str) -> Tool:
    if asked.type not in (None, "custom"):
        raise InvalidInput(
            f"{path}: tools of type {asked.type[:100]!r} are not run here; there is custom.", param="tools"
        )
    return tool(
        asked.name, asked.description, asked.input_schema, asked.strict, path=f"{path}.name", param="tools"
    )


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
