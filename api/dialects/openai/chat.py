"""OpenAI's chat completion body: read, checked, and turned into a job."""

from typing import Annotated, Literal

import msgspec

from api.dialects.openai.chat_messages import ChatMessage, chat_messages
from api.requests.answer_format import FormatRequest, answer_format
from api.requests.images import ImageSource
from api.requests.sampling import Answers, MaxTokens, Stop, sampling, stops
from api.requests.template_options import template_options
from api.requests.tools import FunctionSpec, JsonObject, function_tools
from jobs.errors import InvalidInput
from jobs.generate import Chat, GenerateJob, ToolChoice


class ChatTool(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["function"]
    function: FunctionSpec


class NamedFunction(msgspec.Struct, frozen=True):
    name: str


class NamedTool(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["function"] = "function"
    function: NamedFunction


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    include_usage: bool | None = None


class ChatRequest(FormatRequest, frozen=True, kw_only=True):
    """The body of POST /v1/chat/completions. Fields it does not name are ignored, as OpenAI's clients may send any.

    role_mapping: prefixes of the roles, for a model without a chat template. chat_template_kwargs: variables of the
    chat template; enable_thinking and reasoning_effort are two of them by themselves. skip_special_tokens: unless it is
    false, the model's special tokens are no part of the answer's text.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    max_tokens: MaxTokens | None = None
    max_completion_tokens: MaxTokens | None = None
    n: Answers | None = None
    stop: Stop | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    tools: tuple[ChatTool, ...] | None = None
    tool_choice: Literal["auto", "none", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    role_mapping: dict[str, str] | None = None
    chat_template_kwargs: JsonObject | None = None
    enable_thinking: bool | None = None
    reasoning_effort: str | None = None
    skip_special_tokens: bool | None = None
    functions: tuple[JsonObject, ...] | None = None
    modalities: tuple[str, ...] | None = None


async def chat_job(asked: ChatRequest, source: ImageSource | None) -> GenerateJob:
    """The job that a request asks for; fetches the images it names. Raises InvalidInput naming the field."""
    _refuse_unsupported(asked)
    choice, tool_name = _tool_choice(asked)
    functions = [each.function for each in asked.tools or ()]
    must_call = choice == "required"
    tools = function_tools(functions, must_call=must_call, name=tool_name) if functions or must_call else ()
    form = answer_format(asked)
    options = template_options(
        asked.chat_template_kwargs,
        "chat_template_kwargs",
        enable_thinking=asked.enable_thinking,
        reasoning_effort=asked.reasoning_effort,
    )
    stop = stops(asked.stop)
    chat = Chat(
        messages=await chat_messages(asked.messages, source),
        tools=tools,
        tool_choice=choice,
        tool_name=tool_name,
        parallel_tool_calls=asked.parallel_tool_calls is not False,
        template_options=options,
        role_mapping=asked.role_mapping or {},
    )
    return GenerateJob(
        model=asked.model,
        prompt=chat,
        n=asked.n or 1,
        sampling=sampling(asked),
        max_tokens=asked.max_completion_tokens or asked.max_tokens,
        stop=stop,
        logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
        format=form,
        stream=bool(asked.stream),
        skip_special_tokens=asked.skip_special_tokens is not False,
    )


def wants_usage(options: StreamOptions | None) -> bool:
    """Whether the stream ends with the tokens used."""
    return options is not None and bool(options.include_usage)


def _refuse_unsupported(asked: ChatRequest) -> None:
    if asked.functions:
        raise InvalidInput("functions is OpenAI's old form and not read. Send tools.", param="functions")
    if asked.modalities and set(asked.modalities) != {"text"}:
        raise InvalidInput("modalities: answers are text only.", param="modalities")
    if asked.top_logprobs is not None and not asked.logprobs:
        raise InvalidInput("top_logprobs needs logprobs = true.", param="top_logprobs")
    limits = {asked.max_tokens, asked.max_completion_tokens} - {None}
    if len(limits) > 1:
        raise InvalidInput("max_tokens and max_completion_tokens contradict each other.", param="max_tokens")


def _tool_choice(asked: ChatRequest) -> tuple[ToolChoice, str | None]:
    choice = asked.tool_choice or "auto"
    return ("required", choice.function.name) if isinstance(choice, NamedTool) else (choice, None)
