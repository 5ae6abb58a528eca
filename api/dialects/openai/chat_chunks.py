"""OpenAI's chat completion, chunk by chunk, as server-sent events."""

from typing import Literal

import msgspec

from api.dialects.openai.chat_reply import ID_PREFIX, FunctionReply
from api.dialects.openai.chunks import Chunks
from api.replies.logprobs import ChatLogprobs, chat_logprobs
from api.replies.usage import Usage
from jobs.generate import FinishReason, Piece

Unset = msgspec.UnsetType
UNSET = msgspec.UNSET

_encode = msgspec.json.Encoder().encode


class CallDelta(msgspec.Struct, frozen=True, kw_only=True):
    """A whole call: a model's call is sent when it is complete. index: among the choice's calls."""

    index: int
    id: str
    type: Literal["function"] = "function"
    function: FunctionReply


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer grew by."""

    role: str | Unset = UNSET
    reasoning_content: str | Unset = UNSET
    content: str | Unset = UNSET
    tool_calls: list[CallDelta] | Unset = UNSET


class ChunkChoice(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    delta: Delta
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason | None


class ChatChunk(msgspec.Struct, frozen=True, kw_only=True):
    """What ChatChunks writes. usage: null but in the last one, which has no choices, where it is asked for."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | Unset | None = UNSET


class ChatChunks(Chunks):
    """Writes the chunks of one job. The first of a choice names the role, the last its reason to end and no more."""

    def __init__(self, job_id: str, model: str, created: int, *, include_usage: bool) -> None:
        super().__init__(
            ID_PREFIX + job_id, "chat.completion.chunk", model, created, include_usage=include_usage
        )
        self._calls: dict[int, int] = {}

    def write(self, job_index: int, piece: Piece) -> list[bytes]:
        chunks: list[bytes] = []
        delta = self._delta(piece)
        if delta:
            logprobs = _encode(chat_logprobs(piece.logprobs)) if piece.logprobs else b"null"
            chunks.append(self._chunk(piece.choice, delta, logprobs, b"null"))
        if piece.finish_reason:
            chunks.append(self._chunk(piece.choice, b"{}", b"null", _encode(piece.finish_reason)))
        return chunks

    def _delta(self, piece: Piece) -> bytes:
        """Empty where there is nothing to send yet, such as the beginning of a tool call."""
        begun = piece.choice in self._calls
        if begun and piece.text and not (piece.reasoning or piece.tool_calls):
            return b'{"content":%b}' % _encode(piece.text)  # nearly all pieces
        if begun and not (piece.text or piece.reasoning or piece.tool_calls or piece.logprobs):
            return b""
        first = self._calls.setdefault(piece.choice, 0)
        calls = [
            CallDelta(index=index, id=call.id, function=FunctionReply(call.name, call.arguments))
            for index, call in enumerate(piece.tool_calls, first)
        ]
        self._calls[piece.choice] += len(calls)
        return _encode(
            Delta(
                role=UNSET if begun else "assistant",
                reasoning_content=piece.reasoning or UNSET,
                content=piece.text or (UNSET if piece.reasoning or calls else ""),
                tool_calls=calls or UNSET,
            )
        )

    def _chunk(self, choice: int, delta: bytes, logprobs: bytes, finish: bytes) -> bytes:
        return b'%b{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":%b}%b' % (
            self.head, choice, delta, logprobs, finish, self.tail
        )  # fmt: skip
