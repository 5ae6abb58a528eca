"""Ollama's replies: one JSON object for a whole answer, or for the latest part of an answer."""

import time
from datetime import UTC, datetime
from typing import Literal

import msgspec

from api.errors import ErrorFormat, Fault
from api.replies.logprobs import ChosenLogprob, chat_logprobs
from api.requests.tools import JsonText, tool_input
from jobs.errors import InternalError
from jobs.generate import Choice, FinishReason, GenerateResult, Piece
from jobs.job import Result

Unset = msgspec.UnsetType
UNSET = msgspec.UNSET

DoneReason = Literal["stop", "length", "load", "unload"]

_DONE_REASONS: dict[FinishReason, DoneReason] = {"stop": "stop", "length": "length", "tool_calls": "stop"}
_NS = 1_000_000_000


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
            logprobs=chat_logprobs(part.logprobs).content if part.logprobs else UNSET,
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
