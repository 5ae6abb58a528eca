"""Anthropic's bodies of /v1/messages and of its count of tokens: read, checked, and turned into a job."""

from typing import Any, Literal

import msgspec

from api.dialects.anthropic.messages import AnthropicMessage, TextBlock, anthropic_messages, system_message
from api.requests.answer_format import OtherFormats, json_format, refuse_given
from api.requests.images import ImageSource
from api.requests.sampling import Count, MaxTokens, SamplingRequest, Share, sampling, stops
from api.requests.template_options import template_options
from api.requests.tools import JsonObject, check_choice, tool
from jobs.answer_format import JsonFormat
from jobs.errors import InvalidInput
from jobs.format_limits import check_format
from jobs.generate import Chat, GenerateJob, Tool, ToolChoice


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


_THINKS = {"enabled": True, "disabled": False}
_CHOICES: dict[str, ToolChoice] = {"auto": "auto", "any": "required", "tool": "required", "none": "none"}


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
    form = json_format(given.schema, param)
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
