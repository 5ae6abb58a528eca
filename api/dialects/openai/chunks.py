"""OpenAI's streams, chunk by chunk: server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import abc
from collections.abc import Sequence
from typing import Literal

import msgspec

from api.dialects.openai.chat import CHAT_PREFIX, FunctionReply
from api.dialects.openai.completion import COMPLETION_PREFIX
from api.dialects.openai.stream_options import UsageWanted
from api.errors import fault_of, openai_envelope
from api.replies.fingerprint import system_fingerprint
from api.replies.logprobs import ChatLogprobs, CompletionLogprobs, LogprobsWriter, chat_logprobs
from api.replies.usage import Tally, Usage
from api.work.stream import StreamEvent
from jobs.errors import JobError
from jobs.generate import FinishReason, Piece

Unset = msgspec.UnsetType
UNSET = msgspec.UNSET

DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.Encoder().encode


class Chunks(abc.ABC):
    """What chat and text chunks have in common; see api.dialects.stream_response.StreamDialect.

    An event's number goes with its last chunk only, so that a caller who comes back with the number has missed nothing.
    resumable: False where several jobs are in one stream, because their events have no common number.
    waiting: a comment. In a stream with numbers no empty line follows it: some clients, such as OpenAI's own, would
    read an event without data. In a stream without numbers an empty line follows it, because some clients split the
    stream at empty lines.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        reply_id: str,
        kind: str,
        model: str,
        created: int,
        *,
        usage: UsageWanted,
        resumable: bool = True,
    ) -> None:
        # The parts of a chunk before and after its choices; they stay the same from the first event on.
        self._known = b'data: {"id":%b,"object":%b,"created":%d,"model":%b' % (
            _encode(reply_id), _encode(kind), created, _encode(model)
        )  # fmt: skip
        self.head = self._head("")
        self.tail = b"]}\n\n" if usage == "none" else b'],"usage":null}\n\n'
        self._usage = usage
        self._resumable = resumable
        self.waiting = b": waiting\n" if resumable else b": waiting\n\n"
        self._tally = Tally()

    @abc.abstractmethod
    def write(self, job_index: int, piece: Piece) -> list[bytes]:
        """The chunks of a piece. job_index: of its job among the stream's jobs."""

    @abc.abstractmethod
    def note_prompt(self, job_index: int, ids: Sequence[int]) -> None:
        """The ids of a job's prompt, before its first piece, where they were asked for."""

    def encode(self, event: StreamEvent) -> bytes:
        """The chunks of an event. The last of them has the event's number, if the stream is resumable."""
        job_index, number, pieces = event
        self._tally.add_event(event)
        if pieces.digest:
            self.head = self._head(pieces.digest)
        if self._usage == "each":
            self.tail = b'],"usage":%b}\n\n' % _encode(self._tally.usage())
        if pieces.prompt_ids:
            self.note_prompt(job_index, pieces.prompt_ids)
        if len(pieces.pieces) == 1:
            chunks = self.write(job_index, pieces.pieces[0])
        else:
            chunks = [chunk for piece in pieces.pieces for chunk in self.write(job_index, piece)]
        if not chunks:
            return b""
        if self._resumable:
            chunks[-1] = b"id: %d\n%b" % (number, chunks[-1])
        return b"".join(chunks)

    def _head(self, digest: str) -> bytes:
        """digest: of the model that writes; a job's first event tells it."""
        return b'%b,"system_fingerprint":%b,"choices":[' % (self._known, _encode(system_fingerprint(digest)))

    def end(self) -> bytes:
        """[DONE], after the usage where it is asked for."""
        if self._usage == "none":
            return DONE
        return b'%b],"usage":%b}\n\n%b' % (self.head, _encode(self._tally.usage()), DONE)

    def failure(self, error: JobError) -> bytes:
        """An ErrorReply instead of [DONE]."""
        return b"data: %b\n\n" % openai_envelope(fault_of(error))


class CallDelta(msgspec.Struct, frozen=True, kw_only=True):
    """A whole call: a model's call is sent when it is complete. index: among the choice's calls."""

    index: int
    id: str
    type: Literal["function"] = "function"
    function: FunctionReply


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer grew by. A choice's first one names the role, and has no text: "", or null before a call."""

    role: str | Unset = UNSET
    reasoning_content: str | Unset = UNSET
    content: str | Unset | None = UNSET
    refusal: Unset | None = UNSET
    tool_calls: list[CallDelta] | Unset = UNSET


class ChunkChoice(msgspec.Struct, frozen=True, kw_only=True):
    """token_ids: vLLM's, where they are asked for."""

    index: int
    delta: Delta
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason | None
    token_ids: tuple[int, ...] | Unset = UNSET


class ChatChunk(msgspec.Struct, frozen=True, kw_only=True):
    """What ChatChunks writes. usage: null but in the last one, which has no choices, where it is asked for.
    prompt_token_ids: vLLM's; in the first one, where they are asked for.
    """

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    system_fingerprint: str | None = None
    prompt_token_ids: tuple[int, ...] | Unset = UNSET
    choices: list[ChunkChoice]
    usage: Usage | Unset | None = UNSET


_FIRST = _encode(Delta(role="assistant", content="", refusal=None))
_FIRST_BEFORE_CALL = _encode(Delta(role="assistant", content=None, refusal=None))


class ChatChunks(Chunks):
    """Writes the chunks of one job. The first of a choice names the role, the last its reason to end and no more."""

    def __init__(self, job_id: str, model: str, created: int, *, usage: UsageWanted) -> None:
        super().__init__(CHAT_PREFIX + job_id, "chat.completion.chunk", model, created, usage=usage)
        self._calls: dict[int, int] = {}
        self._tells_ids = False
        self._prompt_ids: Sequence[int] = ()

    def note_prompt(self, job_index: int, ids: Sequence[int]) -> None:
        self._tells_ids = True
        self._prompt_ids = ids

    def write(self, job_index: int, piece: Piece) -> list[bytes]:
        logprobs = chat_logprobs(piece.logprobs) if piece.logprobs else None
        ids = piece.tokens if self._tells_ids else ()
        tells = bool(piece.text or piece.reasoning or piece.tool_calls or logprobs or ids)
        chunks: list[bytes] = []
        if piece.choice not in self._calls and (tells or piece.finish_reason):
            self._calls[piece.choice] = 0
            calls_first = piece.tool_calls and not (piece.text or piece.reasoning)
            first = _FIRST_BEFORE_CALL if calls_first else _FIRST
            chunks.append(self._chunk(piece.choice, first, b"null", b"null"))
        if tells:
            chunks.append(self._chunk(piece.choice, self._delta(piece), _encode(logprobs), b"null", ids))
        if piece.finish_reason:
            chunks.append(self._chunk(piece.choice, b"{}", b"null", _encode(piece.finish_reason)))
        return chunks

    def _delta(self, piece: Piece) -> bytes:
        if piece.text and not (piece.reasoning or piece.tool_calls):
            return b'{"content":%b}' % _encode(piece.text)  # nearly all pieces
        first = self._calls[piece.choice]
        calls = [
            CallDelta(index=index, id=call.id, function=FunctionReply(call.name, call.arguments))
            for index, call in enumerate(piece.tool_calls, first)
        ]
        self._calls[piece.choice] += len(calls)
        return _encode(
            Delta(
                reasoning_content=piece.reasoning or UNSET,
                content=piece.text or (UNSET if piece.reasoning or calls else ""),
                tool_calls=calls or UNSET,
            )
        )

    def _chunk(
        self, choice: int, delta: bytes, logprobs: bytes, finish: bytes, ids: Sequence[int] = ()
    ) -> bytes:
        head, prompt_ids, self._prompt_ids = self.head, self._prompt_ids, ()
        if prompt_ids:
            told = b',"prompt_token_ids":%b,"choices":[' % _encode(prompt_ids)
            head = head.removesuffix(b',"choices":[') + told
        more = b',"token_ids":%b' % _encode(ids) if ids else b""
        return b'%b{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":%b%b}%b' % (
            head, choice, delta, logprobs, finish, more, self.tail
        )  # fmt: skip


class CompletionChunkChoice(msgspec.Struct, frozen=True, kw_only=True):
    """token_ids, prompt_token_ids (in a choice's first chunk): vLLM's, where they are asked for."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: FinishReason | None
    token_ids: tuple[int, ...] | Unset = UNSET
    prompt_token_ids: tuple[int, ...] | Unset = UNSET


class CompletionChunk(msgspec.Struct, frozen=True, kw_only=True):
    """What CompletionChunks writes. usage: as in ChatChunk."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    system_fingerprint: str | None = None
    choices: list[CompletionChunkChoice]
    usage: Usage | Unset | None = UNSET


class CompletionChunks(Chunks):
    """Writes the chunks of one job per prompt; `answers` of each. Choices are numbered through all prompts."""

    def __init__(
        self, job_ids: Sequence[str], model: str, created: int, *, answers: int, usage: UsageWanted
    ) -> None:
        super().__init__(
            COMPLETION_PREFIX + job_ids[0],
            "text_completion",
            model,
            created,
            usage=usage,
            resumable=len(job_ids) == 1,
        )
        self._answers = answers
        self._writers: dict[int, LogprobsWriter] = {}
        self._tells_ids = False
        self._prompt_ids: dict[int, Sequence[int]] = {}  # by the choice that has not begun

    def note_prompt(self, job_index: int, ids: Sequence[int]) -> None:
        self._tells_ids = True
        first = job_index * self._answers
        self._prompt_ids |= dict.fromkeys(range(first, first + self._answers), ids)

    def write(self, job_index: int, piece: Piece) -> list[bytes]:
        choice = job_index * self._answers + piece.choice
        logprobs = None
        if piece.logprobs or piece.prompt_logprobs:
            writer = self._writers.setdefault(choice, LogprobsWriter())
            logprobs = writer.write(piece.prompt_logprobs, piece.logprobs, piece.text)
        ids = piece.tokens if self._tells_ids else ()
        if not (piece.text or logprobs or piece.finish_reason or ids):
            return []
        finish = _encode(piece.finish_reason) if piece.finish_reason else b"null"
        more = b',"token_ids":%b' % _encode(ids) if ids else b""
        if prompt_ids := self._prompt_ids.pop(choice, ()):
            more += b',"prompt_token_ids":%b' % _encode(prompt_ids)
        return [
            b'%b{"index":%d,"text":%b,"logprobs":%b,"finish_reason":%b%b}%b'
            % (self.head, choice, _encode(piece.text), _encode(logprobs), finish, more, self.tail)
        ]
