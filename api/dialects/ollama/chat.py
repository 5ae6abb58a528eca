"""Ollama's /api/chat and /api/generate: the bodies as a job, and the replies, which both write alike."""

import time
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from api.dialects.ollama.messages import OllamaMessage, ollama_messages, parts_of
from api.dialects.ollama.options import (
    OPTIONS,
    BesideOptions,
    Format,
    KeepAlive,
    OllamaOptions,
    Think,
    keep_alive_s,
    max_tokens_of,
    ollama_format,
    ollama_sampling,
    think_options,
    with_beside,
)
from api.errors import ErrorFormat, Fault
from api.replies.logprobs import ChosenLogprob, chat_logprobs
from api.requests.generation import stops
from api.requests.images import ImageReference, ImageSource, load_images
from api.requests.parameters import NOTHING, NoEffect, Refused
from api.requests.tools import FunctionSpec, JsonText, function_tools, tool_input
from api.work.model_defaults import filled, parameters_of
from api.work.queue import Queue
from jobs.content import TextPart
from jobs.errors import InternalError, InvalidInput
from jobs.generate import (
    Chat,
    Choice,
    FinishReason,
    GenerateJob,
    GenerateResult,
    Message,
    Piece,
    Prompt,
    ToolChoice,
)
from jobs.job import Result

Unset = msgspec.UnsetType
UNSET = msgspec.UNSET

DoneReason = Literal["stop", "length", "load", "unload"]
_DONE_REASONS: dict[FinishReason, DoneReason] = {"stop": "stop", "length": "length", "tool_calls": "stop"}
Q = TypeVar("Q", bound="OllamaRequest")

_NS = 1_000_000_000


class OllamaRequest(BesideOptions, frozen=True, kw_only=True):
    """keep_alive: seconds, or a duration such as "5m". stream: true unless said otherwise."""

    model: str
    format: Format | None = None
    options: OllamaOptions | None = None
    think: Think | None = None
    keep_alive: KeepAlive | None = None
    stream: bool | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None


def ollama_job(asked: OllamaRequest, prompt: Chat | Prompt) -> GenerateJob:
    """The job without the parts that only one of the bodies has. Raises InvalidInput naming the field."""
    options = with_beside(asked.options, asked)
    if asked.top_logprobs and not asked.logprobs:
        raise InvalidInput("top_logprobs needs logprobs = true.", param="top_logprobs")
    return GenerateJob(
        model=asked.model,
        prompt=prompt,
        sampling=ollama_sampling(options),
        max_tokens=max_tokens_of(options),
        stop=stops(options.stop, "stop" if asked.stop is options.stop else "options.stop"),
        format=ollama_format(asked.format),
        logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
        stream=asked.stream is not False,
        keep_alive_s=keep_alive_s(asked.keep_alive),
    )


async def with_model_options(asked: Q, queue: Queue) -> Q:
    """The request with its model's own options where it has none. Raises QueueUnavailable."""
    own = await parameters_of(asked.model, queue)
    known = {word: value for word, value in own.items() if word in OPTIONS}
    return msgspec.structs.replace(asked, options=filled(with_beside(asked.options, asked), known))


def load_job(asked: OllamaRequest) -> GenerateJob:
    """For a request without a prompt, which only loads or, with keep_alive 0, unloads the model."""
    return GenerateJob(
        model=asked.model, prompt=Prompt(""), keep_alive_s=keep_alive_s(asked.keep_alive), count_only=True
    )


class OllamaTool(msgspec.Struct, frozen=True, kw_only=True):
    function: FunctionSpec


class OllamaNamedFunction(msgspec.Struct, frozen=True):
    name: str


class OllamaChosenTool(msgspec.Struct, frozen=True, kw_only=True):
    """name: that of OpenAI's responses, which the AI SDK sends; function: that of its chats."""

    type: Literal["function"] = "function"
    name: str | None = None
    function: OllamaNamedFunction | None = None


class OllamaChatRequest(OllamaRequest, frozen=True, kw_only=True):
    """The body of POST /api/chat. Fields it does not name are ignored. No messages: the model is only loaded.

    tool_choice: not Ollama's; the AI SDK's provider sends it.
    """

    messages: tuple[OllamaMessage, ...] | None = None
    tools: tuple[OllamaTool, ...] | None = None
    tool_choice: ToolChoice | OllamaChosenTool | None = None


async def ollama_chat_job(asked: OllamaChatRequest, source: ImageSource | None) -> GenerateJob:
    """The job that a request asks for; fetches the images it names. Raises InvalidInput naming the field."""
    if not asked.messages:
        return load_job(asked)
    choice, name = _tool_choice(asked.tool_choice)
    functions = [each.function for each in asked.tools or ()]
    chat = Chat(
        (),
        tools=function_tools(functions, must_call=choice == "required", name=name),
        tool_choice=choice,
        tool_name=name,
        template_options=think_options(asked.think),
    )
    job = ollama_job(asked, chat)
    # Images last: nothing is fetched for a request that is refused.
    messages = await ollama_messages(asked.messages, source)
    return msgspec.structs.replace(job, prompt=msgspec.structs.replace(chat, messages=messages))


def _tool_choice(asked: ToolChoice | OllamaChosenTool | None) -> tuple[ToolChoice, str | None]:
    if not isinstance(asked, OllamaChosenTool):
        return asked or "auto", None
    name = asked.function.name if asked.function else asked.name
    if name is None:
        raise InvalidInput("tool_choice.name is missing or null.", param="tool_choice")
    return "required", name


_TEMPLATE = Refused(
    "the model's own chat template is used. Send raw = true and the prompt as it is to be read."
)
_NO_IMAGES = Refused("no images are made.", unless=(*NOTHING, 0))


class OllamaGenerateRequest(OllamaRequest, frozen=True, kw_only=True):
    """The body of POST /api/generate. Fields it does not name are ignored. No prompt: the model is only loaded.

    raw: the prompt is read as it is; otherwise the chat template makes a chat of it. images: base64. suffix: what is to
    follow, for models that fill in.
    """

    prompt: str | None = None
    system: str | None = None
    images: tuple[str, ...] | None = None
    raw: bool | None = None
    suffix: str | None = None
    template: Annotated[Any, _TEMPLATE] = None
    context: Annotated[
        Any, Refused("earlier turns are not kept as tokens. Send them as messages to /api/chat.")
    ] = None
    width: Annotated[Any, _NO_IMAGES] = None
    height: Annotated[Any, _NO_IMAGES] = None
    steps: Annotated[Any, _NO_IMAGES] = None
    echo: Annotated[Any, Refused("a prompt is echoed by /v1/completions only.")] = None
    user: Annotated[Any, NoEffect("no answer depends on who asks")] = None


async def ollama_generate_job(asked: OllamaGenerateRequest, source: ImageSource | None) -> GenerateJob:
    """The job that a request asks for; fetches the images it names. Raises InvalidInput naming the field."""
    if asked.suffix and (asked.raw or asked.images):
        raise InvalidInput("suffix: neither with a raw prompt nor with images.", param="suffix")
    if asked.raw and asked.system:
        raise InvalidInput("system: a raw prompt holds everything; put it there.", param="system")
    if not (asked.prompt or asked.images):
        return load_job(asked)
    options = think_options(asked.think)
    job = ollama_job(asked, Prompt(asked.prompt or ""))
    # Images last: nothing is fetched for a request that is refused.
    references = [ImageReference(text, f"images[{index}]") for index, text in enumerate(asked.images or ())]
    images = await load_images(references, source)
    if asked.raw:
        prompt = Prompt(asked.prompt or "", images=tuple(images))
    elif asked.suffix:  # as the templates of Ollama's models have it: nothing else is read
        prompt = Prompt(asked.prompt or "", suffix=asked.suffix)
    else:
        question = Message("user", parts_of(asked.prompt or "", iter(images), asked.images))
        system = (Message("system", (TextPart(asked.system),)),) if asked.system else ()
        prompt = Chat((*system, question), template_options=options)
    return msgspec.structs.replace(job, prompt=prompt)


class OllamaFunctionReply(msgspec.Struct, frozen=True):
    name: str
    arguments: JsonText


class OllamaCallReply(msgspec.Struct, frozen=True):
    id: str
    function: OllamaFunctionReply


class OllamaMessageReply(msgspec.Struct, frozen=True, kw_only=True):
    role: Literal["assistant"] = "assistant"
    content: str
    thinking: str | Unset = UNSET
    tool_calls: list[OllamaCallReply] | Unset = UNSET


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer took. Durations are nanoseconds."""

    total_duration: int
    load_duration: int
    prompt_eval_count: int
    prompt_eval_duration: int
    eval_count: int
    eval_duration: int


class OllamaReply(msgspec.Struct, frozen=True, kw_only=True):
    """message: of a chat. response, thinking: of /api/generate."""

    model: str
    created_at: str
    message: OllamaMessageReply | Unset = UNSET
    response: str | Unset = UNSET
    thinking: str | Unset = UNSET
    logprobs: list[ChosenLogprob] | Unset = UNSET
    done: bool
    done_reason: DoneReason | Unset = UNSET
    total_duration: int | Unset = UNSET
    load_duration: int | Unset = UNSET
    prompt_eval_count: int | Unset = UNSET
    prompt_eval_duration: int | Unset = UNSET
    eval_count: int | Unset = UNSET
    eval_duration: int | Unset = UNSET


class OllamaWriter:
    """Writes the replies to one request. model: as the caller named it. chat: else it is of /api/generate."""

    def __init__(self, model: str, *, chat: bool) -> None:
        self._model = model
        self._chat = chat

    def delta(self, piece: Piece) -> bytes:
        """The reply for the latest part of an answer."""
        return msgspec.json.encode(self._reply(piece, done=False))

    def whole(self, result: Result, total_ns: int) -> bytes:
        """The reply for a whole answer. Raises InternalError for another task's result."""
        if not isinstance(result, GenerateResult):
            raise InternalError
        [choice] = result.choices
        return self.last(choice, choice.finish_reason, figures_of(result, choice, total_ns))

    def last(self, part: Piece | Choice, finish: FinishReason, figures: Figures) -> bytes:
        """The reply that ends an answer. part: what it adds."""
        reply = self._reply(part, done=True, done_reason=_DONE_REASONS[finish])
        return msgspec.json.encode(msgspec.structs.replace(reply, **msgspec.structs.asdict(figures)))

    def loaded(self, reason: DoneReason) -> bytes:
        """The reply to a request without a prompt."""
        return msgspec.json.encode(self._reply(Piece(), done=True, done_reason=reason))

    def _reply(
        self, part: Piece | Choice, *, done: bool, done_reason: DoneReason | Unset = UNSET
    ) -> OllamaReply:
        thinking = part.reasoning or UNSET
        return OllamaReply(
            model=self._model,
            created_at=timestamp(time.time_ns()),
            message=_message(part) if self._chat else UNSET,
            response=UNSET if self._chat else part.text,
            thinking=UNSET if self._chat else thinking,
            logprobs=told.content if (told := chat_logprobs(part.logprobs)) else UNSET,
            done=done,
            done_reason=done_reason,
        )


class OllamaError(msgspec.Struct, frozen=True):
    error: str


def ollama_envelope(fault: Fault) -> bytes:
    """An OllamaError as JSON."""
    return msgspec.json.encode(OllamaError(fault.message))


OLLAMA_ERRORS = ErrorFormat(ollama_envelope, (OllamaError,))


def timestamp(time_ns: int) -> str:
    """RFC 3339 in UTC, with nanoseconds. time_ns: since the epoch."""
    seconds, rest = divmod(time_ns, _NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def figures_of(result: GenerateResult, choice: Choice, total_ns: int) -> Figures:
    """total_ns: how long the caller waited. One token takes no time from the first to the last. It is given as 1 ns,
    because clients divide by it.
    """
    load, prompt, generate = (
        int(seconds * _NS) for seconds in (result.load_s, result.prompt_s, result.generate_s)
    )
    return Figures(
        total_duration=total_ns,
        load_duration=load,
        prompt_eval_count=result.prompt_tokens,
        prompt_eval_duration=prompt,
        eval_count=choice.tokens,
        eval_duration=max(1, generate),
    )


def _message(part: Piece | Choice) -> OllamaMessageReply:
    calls = [
        OllamaCallReply(call.id, OllamaFunctionReply(call.name, tool_input(call))) for call in part.tool_calls
    ]
    return OllamaMessageReply(content=part.text, thinking=part.reasoning or UNSET, tool_calls=calls or UNSET)
