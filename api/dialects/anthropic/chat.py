"""Anthropic's /v1/messages and its count of tokens: the bodies as a job."""

from typing import Annotated, Any, Literal

import msgspec

from api.dialects.anthropic.blocks import CacheControl, TextBlock, asks_for_cache, blocks_of
from api.dialects.anthropic.messages import (
    AnthropicMessage,
    anthropic_messages,
    begins_answer,
    system_message,
    without_empty_end,
)
from api.dialects.anthropic.replies import MessageForm
from api.dialects.anthropic.tools import AnthropicChoice, AnthropicTool, chosen_tools
from api.dialects.anthropic.unbuilt import Unbuilt
from api.requests.answer_format import NO_FORMAT, json_format
from api.requests.generation import (
    Count,
    SamplingRequest,
    Share,
    sampling,
    stops,
    template_options,
)
from api.requests.images import ImageSource
from api.requests.parameters import NoEffect, Refused
from api.requests.tools import JsonObject
from jobs.answer_format import JsonFormat
from jobs.content import ImagePart
from jobs.errors import InvalidInput
from jobs.format_limits import check_format
from jobs.generate import Chat, GenerateJob

_THINKS = {"enabled": True, "disabled": False}


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """adaptive, between_tools: as the model's template has it. display: omitted leaves the thoughts' text out of the
    reply.
    """

    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: Annotated[
        Any, NoEffect("a model thinks as long as its template has it; max_tokens ends it")
    ] = None
    display: Literal["summarized", "omitted"] | None = None
    block_binding: Annotated[
        Any, NoEffect("thoughts that are sent back are not held against their conversation")
    ] = None


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
    task_budget: Annotated[Any, Refused("the model is told of no budget. Send max_tokens.")] = None


class CountRequest(Unbuilt, frozen=True, kw_only=True):
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
    cache_control: CacheControl | None = None
    format: Annotated[Any, Refused("not read. Send output_config.format.", unless=NO_FORMAT)] = None


class MessagesRequest(CountRequest, frozen=True, kw_only=True):
    """The body of POST /v1/messages. Fields it does not name are ignored.

    max_tokens: 0 computes the prompt, which is in the cache then, and writes nothing.
    """

    max_tokens: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
    stop_sequences: tuple[str, ...] | None = None
    temperature: Share | None = None
    top_p: Share | None = None
    top_k: Count | None = None
    stream: bool | None = None
    service_tier: Annotated[Any, NoEffect("there is one tier")] = None


async def messages_job(asked: MessagesRequest, source: ImageSource | None) -> GenerateJob:
    """The job that a request asks for; fetches the images it names. Raises InvalidInput naming the field."""
    stop = stops(asked.stop_sequences, "stop_sequences")
    form = _format(asked)
    chat = await _chat(asked, source)
    if form is not None and chat.continue_final:
        raise InvalidInput(
            f"{form.param}: an answer in a format cannot be begun. Leave out the assistant's last message.",
            param=form.param,
        )
    return GenerateJob(
        model=asked.model,
        prompt=chat,
        sampling=sampling(
            SamplingRequest(temperature=asked.temperature, top_p=asked.top_p, top_k=asked.top_k)
        ),
        max_tokens=asked.max_tokens,
        stop=stop,
        format=form,
        stream=bool(asked.stream),
    )


async def count_job(asked: CountRequest, source: ImageSource | None) -> GenerateJob:
    """The job that counts the tokens of a prompt and writes nothing. Raises InvalidInput naming the field."""
    return GenerateJob(model=asked.model, prompt=await _chat(asked, source), count_only=True)


def message_form(asked: MessagesRequest, job: GenerateJob, prefix_cache_bytes: int) -> MessageForm:
    """How the reply is written. prefix_cache_bytes: what the prefix cache may hold; it holds no images."""
    assert isinstance(job.prompt, Chat)
    parts = [part for message in job.prompt.messages for part in message.content]
    kept = prefix_cache_bytes > 0 and not any(isinstance(part, ImagePart) for part in parts)
    return MessageForm(
        hides_thoughts=asked.thinking is not None and asked.thinking.display == "omitted",
        tells_caching=kept and _asks_for_cache(asked),
    )


def _asks_for_cache(asked: CountRequest) -> bool:
    contents = [asked.system, *(message.content for message in asked.messages)]
    return (
        asked.cache_control is not None
        or any(each.cache_control for each in asked.tools or ())
        or any(asks_for_cache(blocks_of(content)) for content in contents)
    )


def _format(asked: MessagesRequest) -> JsonFormat | None:
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


async def _chat(asked: CountRequest, source: ImageSource | None) -> Chat:
    config, thinking = asked.output_config or OutputConfig(), asked.thinking
    tools, choice, name, parallel = chosen_tools(asked.tools or (), asked.tool_choice)
    given = without_empty_end(asked.messages)
    goes_on = begins_answer(given)
    if goes_on and thinking and thinking.type == "enabled":
        raise InvalidInput(
            "thinking: the assistant's last message begins the answer, and thoughts come before it. Disable thinking, "
            "or leave out the message.",
            param="thinking",
        )
    options = template_options(
        None,
        "thinking",
        enable_thinking=_THINKS.get(thinking.type) if thinking else None,
        reasoning_effort=config.effort,
    )
    return Chat(
        template_options=options,
        messages=(*system_message(asked.system), *await anthropic_messages(given, source)),
        tools=tools,
        tool_choice=choice,
        tool_name=name,
        parallel_tool_calls=parallel,
        continue_final=goes_on,
    )
