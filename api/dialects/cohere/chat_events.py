"""Cohere's streams: named server-sent events, in which texts, thoughts and calls open, grow and close."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from api.dialects.cohere.chat_reply import (
    CohereCallReply,
    CohereFinish,
    CohereLogprobs,
    CohereUsage,
    FunctionCallReply,
    finish_of,
    logprobs_of,
    usage_of,
)
from api.dialects.cohere.messages import TextContent, ThinkingContent
from api.dialects.stream_response import named_event
from api.errors import fault_of
from api.replies.usage import Tally
from api.work.stream import StreamEvent
from jobs.errors import JobError
from jobs.generate import Piece, TokenLogprobs, ToolCall


class BegunMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What is empty grows by the events that follow."""

    role: Literal["assistant"] = "assistant"
    content: tuple[str, ...] = ()
    tool_plan: str = ""
    tool_calls: tuple[str, ...] = ()
    citations: tuple[str, ...] = ()


class BegunContent(msgspec.Struct, frozen=True):
    content: TextContent | ThinkingContent


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    text: str | UnsetType = UNSET
    thinking: str | UnsetType = UNSET


class GrownContent(msgspec.Struct, frozen=True):
    content: Growth


class BegunCall(msgspec.Struct, frozen=True):
    tool_calls: CohereCallReply


class MoreArguments(msgspec.Struct, frozen=True):
    arguments: str


class GrownFunction(msgspec.Struct, frozen=True):
    function: MoreArguments


class GrownCall(msgspec.Struct, frozen=True):
    tool_calls: GrownFunction


class MessageBegun(msgspec.Struct, frozen=True):
    message: BegunMessage


class ContentBegun(msgspec.Struct, frozen=True):
    message: BegunContent


class ContentGrown(msgspec.Struct, frozen=True):
    message: GrownContent


class CallBegun(msgspec.Struct, frozen=True):
    message: BegunCall


class CallGrown(msgspec.Struct, frozen=True):
    message: GrownCall


class ChatMessageStart(msgspec.Struct, frozen=True, tag="message-start"):
    id: str
    delta: MessageBegun = MessageBegun(BegunMessage())


class ChatContentStart(msgspec.Struct, frozen=True, tag="content-start"):
    index: int
    delta: ContentBegun


class ChatContentDelta(msgspec.Struct, frozen=True, tag="content-delta"):
    index: int
    delta: ContentGrown
    logprobs: CohereLogprobs | UnsetType = UNSET


class ChatContentEnd(msgspec.Struct, frozen=True, tag="content-end"):
    index: int


class ChatToolCallStart(msgspec.Struct, frozen=True, tag="tool-call-start"):
    index: int
    delta: CallBegun


class ChatToolCallDelta(msgspec.Struct, frozen=True, tag="tool-call-delta"):
    index: int
    delta: CallGrown


class ChatToolCallEnd(msgspec.Struct, frozen=True, tag="tool-call-end"):
    index: int


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """error: what went wrong, where that is why it ended."""

    finish_reason: CohereFinish
    usage: CohereUsage
    error: str | UnsetType = UNSET


class ChatMessageEnd(msgspec.Struct, frozen=True, tag="message-end"):
    id: str
    delta: Ending


CohereEvent = (
    ChatMessageStart
    | ChatContentStart
    | ChatContentDelta
    | ChatContentEnd
    | ChatToolCallStart
    | ChatToolCallDelta
    | ChatToolCallEnd
    | ChatMessageEnd
)


class CohereEvents:
    """Writes the events of one job; see api.dialects.stream_response.StreamDialect.

    Calls and contents are counted apart. What the model writes before a call is content here, and no tool_plan: that a
    call follows is not known then. Tokens without a text of their own, as parts of a letter are, are told with the next
    text or thought; those of a call are told nowhere, for no event of a call has a place for them.
    """

    media_type = "text/event-stream"
    waiting = b": waiting\n\n"
    done = b"data: [DONE]\n\n"
    """What follows the last event."""

    def __init__(self, job_id: str, *, logprobs: bool) -> None:
        self._job_id = job_id
        self._logprobs = logprobs
        self._begun = False
        self._contents = 0
        self._calls = 0
        self._open: type[TextContent | ThinkingContent] | None = None
        self._has_text = False
        self._untold: list[TokenLogprobs] = []
        self._finish: CohereFinish = "COMPLETE"
        self._tally = Tally()

    def encode(self, event: StreamEvent) -> bytes:
        """The first event of a stream begins with message-start."""
        self._tally.add_event(event)
        found = self._begin()
        for piece in event.pieces.pieces:
            found += self._write(piece)
        return self._written(found)

    def end(self) -> bytes:
        """Closes what is open, and the message."""
        events = self._begin()
        if not self._calls:
            events += self._rest()
        last = self._last(Ending(finish_reason=self._finish, usage=self._usage))
        return self._written([*events, *self._close(), last]) + self.done

    def failure(self, error: JobError) -> bytes:
        """The message ends with the error."""
        ending = Ending(finish_reason="ERROR", usage=self._usage, error=fault_of(error).message)
        return self._written([*self._close(), self._last(ending)]) + self.done

    @property
    def _usage(self) -> CohereUsage:
        return usage_of(self._tally)

    def _begin(self) -> list[CohereEvent]:
        """The message's start, unless it was written."""
        begun, self._begun = self._begun, True
        return [] if begun else [ChatMessageStart(self._job_id)]

    def _last(self, ending: Ending) -> ChatMessageEnd:
        return ChatMessageEnd(self._job_id, ending)

    def _write(self, piece: Piece) -> list[CohereEvent]:
        events: list[CohereEvent] = []
        if piece.reasoning:
            events += self._grown(ThinkingContent(""), Growth(thinking=piece.reasoning))
        if piece.text:
            events += self._grown(TextContent(""), Growth(text=piece.text))
        if self._logprobs:
            self._untold += [each for each in piece.logprobs if not each.hidden]
        if events:
            self._tell(events, piece.reasoning + piece.text)
        for call in piece.tool_calls:
            events += self._called(call)
        if piece.finish_reason:
            self._finish = finish_of(piece.finish_reason, piece.stop)
        return events

    def _tell(self, events: list[CohereEvent], text: str) -> None:
        """The last event, which is of a text's or a thought's growth, gets the tokens that are not told yet."""
        if self._untold:
            events[-1] = msgspec.structs.replace(events[-1], logprobs=logprobs_of(text, self._untold))
            self._untold = []

    def _rest(self) -> list[CohereEvent]:
        """What an answer without a call ends with: a text, if it has none, and the tokens that are not told yet."""
        events: list[CohereEvent] = []
        if not self._has_text:
            events += self._opened(TextContent(""))
        if self._untold:
            events += self._grown(TextContent(""), Growth(text=""))
            self._tell(events, "")
        return events

    def _grown(self, empty: TextContent | ThinkingContent, growth: Growth) -> list[CohereEvent]:
        """The open content grows, if it is of that kind; otherwise it is closed, and another one opens."""
        events = [] if self._open is type(empty) else self._opened(empty)
        return [*events, ChatContentDelta(self._contents, ContentGrown(GrownContent(growth)))]

    def _opened(self, empty: TextContent | ThinkingContent) -> list[CohereEvent]:
        """What is open is closed, and another content opens."""
        events = self._close()
        self._open = type(empty)
        self._has_text |= isinstance(empty, TextContent)
        return [*events, ChatContentStart(self._contents, ContentBegun(BegunContent(empty)))]

    def _called(self, call: ToolCall) -> list[CohereEvent]:
        """A whole call: it is sent when it is complete, or the answer is over."""
        index, self._calls = self._calls, self._calls + 1
        self._untold = []
        begun = CohereCallReply(id=call.id, function=FunctionCallReply(call.name, ""))
        grown = GrownCall(GrownFunction(MoreArguments(call.arguments)))
        return [
            *self._close(),
            ChatToolCallStart(index, CallBegun(BegunCall(begun))),
            ChatToolCallDelta(index, CallGrown(grown)),
            ChatToolCallEnd(index),
        ]

    def _close(self) -> list[CohereEvent]:
        if self._open is None:
            return []
        self._open = None
        self._contents += 1
        return [ChatContentEnd(self._contents - 1)]

    def _written(self, events: Sequence[CohereEvent]) -> bytes:
        return b"".join(map(self.event, events))

    def event(self, event: CohereEvent) -> bytes:
        """One of them as it is sent."""
        return named_event(event)


class CohereLines(CohereEvents):
    """The same events, each as a line of JSON. The one that says that the stream lives is Cohere's for its own use."""

    media_type = "application/x-ndjson"
    waiting = b'{"type":"debug"}\n'
    done = b""

    def event(self, event: CohereEvent) -> bytes:
        """One of them as it is sent."""
        return msgspec.json.encode(event) + b"\n"


def takes_lines(accept: str) -> bool:
    """Whether a caller reads lines of JSON, as LiteLLM does: it takes JSON, and no events.

    accept: the header's value.
    """
    taken = {each.partition(";")[0].strip().lower() for each in accept.split(",")}
    events = {"*/*", "text/*", "text/event-stream"}
    return bool(taken & {"application/json", CohereLines.media_type}) and not taken & events
