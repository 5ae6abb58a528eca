"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) as OpenAI sends its chunks."""

import abc

import msgspec

from api.errors import fault_of, openai_envelope
from api.replies.usage import Tally
from api.work.stream import StreamEvent
from jobs.errors import JobError
from jobs.generate import Piece

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
        include_usage: bool,
        resumable: bool = True,
    ) -> None:
        # The parts of a chunk before and after its choices; they stay the same.
        self.head = b'data: {"id":%b,"object":%b,"created":%d,"model":%b,"choices":[' % (
            _encode(reply_id), _encode(kind), created, _encode(model)
        )  # fmt: skip
        self.tail = b'],"usage":null}\n\n' if include_usage else b"]}\n\n"
        self._include_usage = include_usage
        self._resumable = resumable
        self.waiting = b": waiting\n" if resumable else b": waiting\n\n"
        self._tally = Tally()

    @abc.abstractmethod
    def write(self, job_index: int, piece: Piece) -> list[bytes]:
        """The chunks of a piece. job_index: of its job among the stream's jobs."""

    def encode(self, event: StreamEvent) -> bytes:
        """The chunks of an event. The last of them has the event's number, if the stream is resumable."""
        job_index, number, pieces = event
        self._tally.add_event(event)
        if len(pieces.pieces) == 1:
            chunks = self.write(job_index, pieces.pieces[0])
        else:
            chunks = [chunk for piece in pieces.pieces for chunk in self.write(job_index, piece)]
        if not chunks:
            return b""
        if self._resumable:
            chunks[-1] = b"id: %d\n%b" % (number, chunks[-1])
        return b"".join(chunks)

    def end(self) -> bytes:
        """[DONE], after the usage where it is asked for."""
        if not self._include_usage:
            return DONE
        return b'%b],"usage":%b}\n\n%b' % (self.head, _encode(self._tally.usage()), DONE)

    def failure(self, error: JobError) -> bytes:
        """An ErrorReply instead of [DONE]."""
        return b"data: %b\n\n" % openai_envelope(fault_of(error))
