"""OpenAI's chat completion: the body as a job, and the whole reply."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

from api.dialects.openai.messages import ChatMessage, chat_messages
from api.dialects.openai.stream_options import StreamOptions, check_stream_options
from api.dialects.openai.unbuilt import UnbuiltChat
from api.replies.fingerprint import system_fingerprint
from api.replies.logprobs import ChatLogprobs, PromptLogprobs, chat_logprobs, prompt_logprobs
from api.replies.usage import Tally, Usage
from api.requests.answer_format import answer_format
from api.requests.generation import Answers, Stop, TokenLimit, max_tokens, stops, template_options
from api.requests.images import ImageSource
from api.requests.parameters import NoEffect, Refused
from api.requests.tools import FunctionSpec, JsonObject, function_tools
from api.requests.truncation import NEVER_CUT
from api.requests.vllm.chat import check_turns
from api.requests.vllm.generation import check_told, vllm_sampling
from jobs.errors import InternalError, InvalidInput
from jobs.generate import Chat, Choice, FinishReason, GenerateJob, GenerateResult, ToolCall, ToolChoice
from jobs.job import Result

Unset = msgspec.UnsetType
UNSET = msgspec.UNSET

CHAT_PREFIX = "chatcmpl-"
"""A completion's id is this and the job's id."""


class ChatTool(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["function"]
    function: FunctionSpec


class NamedFunction(msgspec.Struct, frozen=True):
    name: str


class AllowedTool(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["function"] = "function"
    function: NamedFunction


class AllowedTools(msgspec.Struct, frozen=True, kw_only=True):
    """mode: whether one of them has to be called."""

    mode: Literal["auto", "required"] = "auto"
    tools: tuple[AllowedTool, ...]


class ChosenTools(msgspec.Struct, frozen=True, kw_only=True):
    """One function to call, or those that may be called."""

    type: Literal["function", "allowed_tools"] = "function"
    function: NamedFunction | None = None
    allowed_tools: AllowedTools | None = None
    custom: Annotated[Any, Refused("tools are functions here. Say in a schema what they take.")] = None


_THINKS = {"enabled": True, "disabled": False}


class ChatThinking(msgspec.Struct, frozen=True, kw_only=True):
    """enabled and disabled are enable_thinking. DeepSeek's, and what LiteLLM makes of Anthropic's."""

    type: Literal["enabled", "disabled", "adaptive", "auto"]
    budget_tokens: Annotated[
        Any, NoEffect("a model thinks as long as its template has it; max_tokens ends it")
    ] = None


class ChatRequest(UnbuiltChat, frozen=True, kw_only=True):
    """The body of POST /v1/chat/completions. Fields it does not name are ignored, as OpenAI's clients may send any.

    role_mapping: prefixes of the roles, for a model without a chat template. chat_template_kwargs: variables of the
    chat template; enable_thinking and reasoning_effort are two of them by themselves. skip_special_tokens: unless it is
    false, the model's special tokens are no part of the answer's text. store: the chat is kept, with its metadata
    (api.dialects.openai.stored_chats).
    """

    model: str = ""
    messages: tuple[ChatMessage, ...]
    max_tokens: TokenLimit | None = None
    max_completion_tokens: TokenLimit | None = None
    n: Answers | None = None
    stop: Stop | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    tools: tuple[ChatTool, ...] | None = None
    tool_choice: Literal["auto", "none", "required"] | ChosenTools | None = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    role_mapping: dict[str, str] | None = None
    chat_template_kwargs: JsonObject | None = None
    enable_thinking: bool | None = None
    thinking: ChatThinking | None = None
    reasoning_effort: str | None = None
    skip_special_tokens: bool | None = None
    store: bool | None = None
    metadata: JsonObject | None = None
    truncate_prompt_tokens: Annotated[Any, NEVER_CUT] = None


async def chat_job(asked: ChatRequest, source: ImageSource | None) -> GenerateJob:
    """The job that a request asks for; fetches the images it names. Raises InvalidInput naming the field."""
    check_stream_options(asked.stream_options, asked.stream)
    if asked.top_logprobs is not None and not asked.logprobs:
        raise InvalidInput("top_logprobs needs logprobs = true.", param="top_logprobs")
    choice, tool_name = _tool_choice(asked)
    functions = _allowed([each.function for each in asked.tools or ()], asked.tool_choice)
    must_call = choice == "required"
    tools = function_tools(functions, must_call=must_call, name=tool_name) if functions or must_call else ()
    form = answer_format(asked)
    options = template_options(
        asked.chat_template_kwargs,
        "chat_template_kwargs",
        enable_thinking=_enable_thinking(asked),
        reasoning_effort=asked.reasoning_effort,
        documents=asked.documents,
    )
    check_told(asked, asked.stream)
    check_turns(asked, asked.messages[-1].role if asked.messages else None)
    stop, limit = stops(asked.stop), _max_tokens(asked)
    chat = Chat(
        messages=await chat_messages(asked.messages, source),
        tools=tools,
        tool_choice=choice,
        tool_name=tool_name,
        parallel_tool_calls=asked.parallel_tool_calls is not False,
        template_options=options,
        role_mapping=asked.role_mapping or {},
        continue_final=bool(asked.continue_final_message),
        generation_prompt=asked.add_generation_prompt is not False,
        special_tokens=bool(asked.add_special_tokens),
    )
    return GenerateJob(
        model=asked.model,
        prompt=chat,
        n=asked.n or 1,
        sampling=vllm_sampling(asked, stop, limit),
        max_tokens=limit,
        stop=stop,
        logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
        prompt_logprobs=asked.prompt_logprobs,
        return_ids=bool(asked.return_token_ids),
        format=form,
        stream=bool(asked.stream),
        skip_special_tokens=asked.skip_special_tokens is not False,
    )


def _enable_thinking(asked: ChatRequest) -> bool | None:
    named = asked.thinking and _THINKS.get(asked.thinking.type)
    if None not in (named, asked.enable_thinking) and named != asked.enable_thinking:
        raise InvalidInput("thinking and enable_thinking contradict each other.", param="thinking")
    return asked.enable_thinking if named is None else named


def _max_tokens(asked: ChatRequest) -> int | None:
    if len({asked.max_tokens, asked.max_completion_tokens} - {None}) > 1:
        raise InvalidInput("max_tokens and max_completion_tokens contradict each other.", param="max_tokens")
    if asked.max_completion_tokens is None:
        return max_tokens(asked.max_tokens, "max_tokens")
    return max_tokens(asked.max_completion_tokens, "max_completion_tokens")


def _tool_choice(asked: ChatRequest) -> tuple[ToolChoice, str | None]:
    choice = asked.tool_choice or "auto"
    if not isinstance(choice, ChosenTools):
        return choice, None
    if choice.type == "allowed_tools" and choice.allowed_tools:
        return choice.allowed_tools.mode, None
    if choice.type == "function" and choice.function:
        return "required", choice.function.name
    raise InvalidInput(f"tool_choice.{choice.type} is missing or null.", param="tool_choice")


def _allowed(functions: Sequence[FunctionSpec], choice: str | ChosenTools | None) -> Sequence[FunctionSpec]:
    """Those that the choice lets the model call: it is shown no others."""
    if not (isinstance(choice, ChosenTools) and choice.type == "allowed_tools" and choice.allowed_tools):
        return functions
    names = [each.function.name for each in choice.allowed_tools.tools]
    unknown = sorted(set(names) - {each.name for each in functions})
    if unknown or not names:
        what = f"names {unknown[0][:200]!r}, which is none of the tools" if unknown else "is empty"
        raise InvalidInput(f"tool_choice.allowed_tools.tools {what}.", param="tool_choice")
    return [each for each in functions if each.name in names]


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
    """token_ids: vLLM's, where they are asked for."""

    index: int
    message: ChatMessageReply
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason
    token_ids: tuple[int, ...] | Unset = UNSET


class ChatReply(msgspec.Struct, frozen=True, kw_only=True):
    """prompt_token_ids, prompt_logprobs: vLLM's, where they are asked for."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    system_fingerprint: str | None = None
    prompt_token_ids: tuple[int, ...] | Unset = UNSET
    prompt_logprobs: PromptLogprobs | Unset = UNSET


def encode_chat(result: Result | None, *, job_id: str, model: str, created: int) -> bytes:
    """The reply as JSON bytes. created: seconds since the epoch. Raises InternalError for another task's result."""
    if not isinstance(result, GenerateResult):
        raise InternalError
    tally = Tally()
    tally.add_result(0, result)
    told = result.choices[0].prompt_logprobs if result.choices else ()
    reply = ChatReply(
        id=CHAT_PREFIX + job_id,
        created=created,
        model=model,
        choices=[_choice(index, choice) for index, choice in enumerate(result.choices)],
        usage=tally.usage(),
        system_fingerprint=system_fingerprint(result.digest),
        prompt_token_ids=result.prompt_ids or UNSET,
        prompt_logprobs=prompt_logprobs(told) if told else UNSET,
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
        logprobs=chat_logprobs(choice.logprobs),
        finish_reason=choice.finish_reason,
        token_ids=choice.ids or UNSET,
    )
