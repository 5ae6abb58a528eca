"""OpenAI's text completion, chunk by chunk, as server-sent events."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from api.dialects.openai.chunks import Chunks
from api.dialects.openai.completion_reply import ID_PREFIX
from api.replies.logprobs import CompletionLogprobs, completion_logprobs
from api.replies.usage import Usage
from jobs.generate import FinishReason, Piece

_encode = msgspec.json.Encoder().encode


class CompletionChunkChoice(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: FinishReason | None


class CompletionChunk(msgspec.Struct, frozen=True, kw_only=True):
    """What CompletionChunks writes. usage: as in ChatChunk."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChunkChoice]
    usage: Usage | msgspec.UnsetType | None = msgspec.UNSET


class CompletionChunks(Chunks):
    """Writes the chunks of one job per prompt; `answers` of each. Choices are numbered through all prompts."""

    def __init__(
        self, job_ids: Sequence[str], model: str, created: int, *, answers: int, include_usage: bool
    ) -> None:
        super().__init__(
            ID_PREFIX + job_ids[0],
            "text_completion",
            model,
            created,
            include_usage=include_usage,
            resumable=len(job_ids) == 1,
        )
        self._answers = answers
        self._characters: dict[int, int] = {}

    def write(self, job_index: int, piece: Piece) -> list[bytes]:
        if not (piece.text or piece.logprobs or piece.finish_reason):
            return []
        choice = job_index * self._answers + piece.choice
        logprobs = self._logprobs(choice, piece) if piece.logprobs else b"null"
        finish = _encode(piece.finish_reason) if piece.finish_reason else b"null"
        return [
            b'%b{"index":%d,"text":%b,"logprobs":%b,"finish_reason":%b}%b'
            % (self.head, choice, _encode(piece.text), logprobs, finish, self.tail)
        ]

    def _logprobs(self, choice: int, piece: Piece) -> bytes:
        start = self._characters.get(choice, 0)
        found, self._characters[choice] = completion_logprobs(piece.logprobs, start)
        return _encode(found)
