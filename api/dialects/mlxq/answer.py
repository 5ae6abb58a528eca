"""The answer to a question about documents: the whole reply, and the events of a stream."""

from collections.abc import Sequence

import msgspec

from api.dialects.stream_response import named_event, sse
from api.errors import fault_of, openai_envelope
from api.replies.usage import Tally, Usage
from api.ui.links import page_url
from api.work.stream import StreamEvent
from jobs.errors import InternalError, JobError
from jobs.generate import FinishReason, GenerateResult
from jobs.job import Result
from jobs.search.citations import cited
from jobs.search.question import NOT_FOUND, PreparedAnswer, Source


class SourceReply(msgspec.Struct, frozen=True, kw_only=True):
    """A page that the model was shown. number: as the answer cites it. url: where it is to be seen."""

    number: int
    collection: str
    document: str
    path: str
    page: int
    label: str
    snippet: str
    url: str


class AnswerReply(msgspec.Struct, frozen=True, kw_only=True):
    """found: false where the documents do not say. citations: the sources that the answer names, in its order."""

    answer: str
    found: bool
    citations: tuple[SourceReply, ...]
    sources: tuple[SourceReply, ...]
    model: str | None
    finish_reason: FinishReason | None
    usage: Usage
    notes: tuple[str, ...]


class SourcesEvent(msgspec.Struct, frozen=True, tag="sources"):
    """The first event: the pages that the model reads."""

    sources: tuple[SourceReply, ...]
    notes: tuple[str, ...]


class DeltaEvent(msgspec.Struct, frozen=True, tag="delta"):
    """More of the answer."""

    text: str


class DoneEvent(msgspec.Struct, frozen=True, tag="done", kw_only=True):
    """The last event."""

    found: bool
    citations: tuple[SourceReply, ...]
    model: str | None
    finish_reason: FinishReason | None
    usage: Usage


Event = SourcesEvent | DeltaEvent | DoneEvent


def encode_answer(result: Result, prepared: PreparedAnswer) -> bytes:
    """The whole reply. Raises InternalError for another task's result."""
    if not isinstance(result, GenerateResult) or prepared.job is None:
        raise InternalError
    tally = Tally()
    tally.add_result(0, result)
    choice = result.choices[0]
    reply = AnswerReply(
        answer=choice.text,
        found=_found(choice.text),
        citations=_replies(cited(choice.text, prepared.sources)),
        sources=_replies(prepared.sources),
        model=prepared.job.model,
        finish_reason=choice.finish_reason,
        usage=tally.usage(),
        notes=prepared.notes,
    )
    return msgspec.json.encode(reply)


def not_found(prepared: PreparedAnswer) -> bytes:
    """The reply where no page has to do with the question. No model was asked."""
    reply = AnswerReply(
        answer=NOT_FOUND,
        found=False,
        citations=(),
        sources=(),
        model=None,
        finish_reason=None,
        usage=Tally().usage(),
        notes=prepared.notes,
    )
    return msgspec.json.encode(reply)


def not_found_events(prepared: PreparedAnswer) -> bytes:
    """The same as a stream."""
    done = DoneEvent(found=False, citations=(), model=None, finish_reason=None, usage=Tally().usage())
    return b"".join(map(named_event, [SourcesEvent((), prepared.notes), DeltaEvent(NOT_FOUND), done]))


class AnswerEvents:
    """Writes the events of one answer; see api.dialects.stream_response.StreamDialect."""

    media_type = "text/event-stream"
    waiting = b": waiting\n\n"

    def __init__(self, prepared: PreparedAnswer) -> None:
        self._prepared = prepared
        self._begun = False
        self._text = ""
        self._finish_reason: FinishReason | None = None
        self._tally = Tally()

    def encode(self, event: StreamEvent) -> bytes:
        """The first event is that of the sources."""
        self._tally.add_event(event)
        written: list[Event] = []
        if not self._begun:
            self._begun = True
            written.append(SourcesEvent(_replies(self._prepared.sources), self._prepared.notes))
        if text := "".join(piece.text for piece in event.pieces.pieces):
            self._text += text
            written.append(DeltaEvent(text))
        for piece in event.pieces.pieces:
            self._finish_reason = piece.finish_reason or self._finish_reason
        return b"".join(map(named_event, written))

    def end(self) -> bytes:
        """What the answer cites."""
        done = DoneEvent(
            found=_found(self._text),
            citations=_replies(cited(self._text, self._prepared.sources)),
            model=self._prepared.job.model if self._prepared.job else None,
            finish_reason=self._finish_reason,
            usage=self._tally.usage(),
        )
        return named_event(done)

    def failure(self, error: JobError) -> bytes:
        """The event `error`."""
        return sse("error", openai_envelope(fault_of(error)))


def _found(answer: str) -> bool:
    return answer.strip().strip('"') != NOT_FOUND


def _replies(sources: Sequence[Source]) -> tuple[SourceReply, ...]:
    return tuple(
        SourceReply(
            number=each.number,
            collection=each.collection,
            document=each.document,
            path=each.path,
            page=each.page,
            label=each.label,
            snippet=each.snippet,
            url=page_url(each.collection, each.document, each.page),
        )
        for each in sources
    )
