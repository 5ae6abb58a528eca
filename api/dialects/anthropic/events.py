"""Anthropic's streams: named server-sent events, in which an answer is blocks that open, grow and close."""

import msgspec

from api.dialects.anthropic.errors import anthropic_envelope
from api.dialects.anthropic.replies import (
    AnthropicUsage,
    BlockReply,
    MessageForm,
    MessageReply,
    StopReason,
    TextReply,
    ThinkingReply,
    ToolUseReply,
    ending,
    message_id,
    signature,
    usage_of,
)
from api.dialects.stream_response import named_event, sse
from api.errors import fault_of
from api.replies.usage import Tally
from api.requests.tools import tool_input
from api.work.stream import StreamEvent
from jobs.errors import JobError
from jobs.generate import Piece, ToolCall

_NO_INPUT = msgspec.Raw(b"{}")


class TextDelta(msgspec.Struct, frozen=True, tag="text_delta"):
    text: str


class ThinkingDelta(msgspec.Struct, frozen=True, tag="thinking_delta"):
    thinking: str


class SignatureDelta(msgspec.Struct, frozen=True, tag="signature_delta"):
    """The last one of a block of thoughts."""

    signature: str


class InputDelta(msgspec.Struct, frozen=True, tag="input_json_delta"):
    partial_json: str


class MessageDelta(msgspec.Struct, frozen=True, kw_only=True):
    stop_reason: StopReason
    stop_sequence: str | None


class MessageStart(msgspec.Struct, frozen=True, tag="message_start"):
    message: MessageReply


class BlockStart(msgspec.Struct, frozen=True, tag="content_block_start"):
    index: int
    content_block: BlockReply


class BlockDelta(msgspec.Struct, frozen=True, tag="content_block_delta"):
    index: int
    delta: TextDelta | ThinkingDelta | SignatureDelta | InputDelta


class BlockStop(msgspec.Struct, frozen=True, tag="content_block_stop"):
    index: int


class MessageEnd(msgspec.Struct, frozen=True, tag="message_delta"):
    """usage: of the whole answer."""

    delta: MessageDelta
    usage: AnthropicUsage


class MessageStop(msgspec.Struct, frozen=True, tag="message_stop"):
    pass


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    pass


Event = MessageStart | BlockStart | BlockDelta | BlockStop | MessageEnd | MessageStop | Ping


class AnthropicEvents:
    """Writes the events of one job; see api.dialects.stream_response.StreamDialect."""

    media_type = "text/event-stream"
    waiting = named_event(Ping())

    def __init__(self, job_id: str, model: str, form: MessageForm) -> None:
        self._job_id = job_id
        self._model = model
        self._form = form
        self._begun = False
        self._index = -1  # of the latest block
        self._open: type[TextReply | ThinkingReply] | None = None
        self._thoughts: list[str] = []  # of the open block
        self._end = MessageDelta(stop_reason="end_turn", stop_sequence=None)
        self._tally = Tally()

    def encode(self, event: StreamEvent) -> bytes:
        """The first event of a stream begins with message_start."""
        first = not self._begun
        self._begun = True
        self._tally.add_event(event)
        found = [self._start()] if first else []
        for piece in event.pieces.pieces:
            found += self._write(piece)
        return b"".join(map(named_event, found))

    def end(self) -> bytes:
        """Closes the open block and the message."""
        last = MessageEnd(self._end, usage_of(self._tally, self._form))
        return b"".join(map(named_event, [*self._close(), last, MessageStop()]))

    def failure(self, error: JobError) -> bytes:
        """The event `error`."""
        return sse("error", anthropic_envelope(fault_of(error)))

    def _start(self) -> Event:
        usage = msgspec.structs.replace(usage_of(self._tally, self._form), output_tokens=0)
        return MessageStart(
            MessageReply(
                id=message_id(self._job_id), model=self._model, content=[], stop_reason=None, usage=usage
            )
        )

    def _write(self, piece: Piece) -> list[Event]:
        events: list[Event] = []
        if piece.reasoning:
            events += self._opened(ThinkingReply("", ""))
            self._thoughts.append(piece.reasoning)
            if not self._form.hides_thoughts:
                events.append(BlockDelta(self._index, ThinkingDelta(piece.reasoning)))
        if piece.text:
            events += [*self._opened(TextReply("")), BlockDelta(self._index, TextDelta(piece.text))]
        for call in piece.tool_calls:
            events += self._call(call)
        if piece.finish_reason:
            stop_reason, stop_sequence = ending(piece.finish_reason, piece.stop)
            self._end = MessageDelta(stop_reason=stop_reason, stop_sequence=stop_sequence)
        return events

    def _opened(self, empty: TextReply | ThinkingReply) -> list[Event]:
        """Nothing where a block of that kind is open; otherwise the open one is closed, and another one opens."""
        if self._open is type(empty):
            return []
        events = self._close()
        self._index += 1
        self._open = type(empty)
        return [*events, BlockStart(self._index, empty)]

    def _call(self, call: ToolCall) -> list[Event]:
        """A whole block: a model's call is sent when it is complete, or the answer is over."""
        events = self._close()
        self._index += 1
        written = call.arguments if call.cut else bytes(tool_input(call)).decode()
        return [
            *events,
            BlockStart(self._index, ToolUseReply(call.id, call.name, _NO_INPUT)),
            BlockDelta(self._index, InputDelta(written)),
            BlockStop(self._index),
        ]

    def _close(self) -> list[Event]:
        was_open, self._open = self._open, None
        if was_open is None:
            return []
        events: list[Event] = []
        if was_open is ThinkingReply:
            events.append(BlockDelta(self._index, SignatureDelta(signature("".join(self._thoughts)))))
            self._thoughts.clear()
        return [*events, BlockStop(self._index)]
