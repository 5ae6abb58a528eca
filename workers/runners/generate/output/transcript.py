"""One answer as it is written: tokens in, pieces of text, reasoning and tool calls out."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from jobs.generate import Choice, FinishReason, Piece, PromptToken, TokenLogprobs, ToolCall
from workers.runners.generate.output.segments import NORMAL, REASONING, TOOL, OutputSegments, Segment
from workers.runners.generate.output.tool_calls import CallReader

log = logging.getLogger(__name__)

CONTEXT = 6
"""Tokens of the prompt that decoding a first token needs to know (whether a space belongs before it)."""

MAX_WITHHELD = 16
"""After so many tokens a piece is published even without text, so that another worker need not generate them again."""


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """How a model's output is to be read: the same for all answers to a job."""

    tokenizer: Tokenizer
    segments: Callable[[], OutputSegments]
    """Makes what splits an answer into text, reasoning and tool calls: a new one for each answer."""
    prompt: tuple[int, ...]
    """The prompt's ids."""
    lead: str = ""
    """Text that is put before the answer."""
    stop: Sequence[str] = ()
    """Texts that end the answer, looked for in its visible text."""
    specials: Mapping[int, str] = field(default_factory=dict[int, str])
    """Tokens that are left out of the text, by id, and their texts."""
    calls: CallReader | None = None
    """Reads tool calls; None where the job has no tools."""
    one_call: bool = False
    """Whether the answer ends with its first call."""

    def with_tools(self, calls: CallReader, *, one_call: bool) -> "OutputFormat":
        return replace(self, calls=calls, one_call=one_call)


@dataclass(slots=True)
class _Growth:
    """What has been read and not given out."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    logprobs: list[TokenLogprobs] = field(default_factory=list)
    prompt_logprobs: tuple[PromptToken, ...] = ()


class Transcript:
    """One answer's tokens and text. Belongs to the stream's thread; the device's thread only reads `finish_reason`."""

    def __init__(self, output_format: OutputFormat, choice: int = 0) -> None:
        self.choice = choice
        self.tokens: list[int] = []
        self.finish_reason: FinishReason | None = None
        """Set when the answer is complete. Tokens that come later are ignored."""
        self.stop: str | None = None
        """The caller's stop text that ended it."""
        self._format = output_format
        self._segments = output_format.segments()
        self._stops = OutputSegments({NORMAL: []}, stop=output_format.stop)
        self._stream = DecodeStream(skip_special_tokens=False)
        for token in output_format.prompt[-CONTEXT:]:
            self._stream.step(output_format.tokenizer, token)
        self._undecoded: list[int] = []
        self._marks: set[str] = set()  # special tokens that came and may become a marker
        self._tool_text: str | None = None
        self._fresh = True  # no text yet, or a marker before it: white space there is not part of the answer
        self._trims = False
        self._space = ""  # white space at the beginning, left out if a marker is next
        self._growth = _Growth(text=[output_format.lead] if output_format.lead else [])
        self._pieces: list[Piece] = []

    @property
    def lead(self) -> str:
        """Text that is put before the answer."""
        return self._format.lead

    def add_prompt(self, tokens: tuple[PromptToken, ...]) -> None:
        """How probable the prompt's tokens were. Before the first token of the answer."""
        self._growth.prompt_logprobs = tokens

    def end_empty(self) -> None:
        """The answer is to have no tokens."""
        if self.finish_reason is None:
            self._finish("length")

    def add(
        self, token: int, finish: FinishReason | None = None, logprobs: TokenLogprobs | None = None
    ) -> None:
        """The next token. finish "stop": it is an end marker, which is no text; "length": there will be no more."""
        if self.finish_reason is not None:
            return
        self.tokens.append(token)
        self._growth.tokens.append(token)
        if finish != "stop":
            hidden = self._hides(token)
            if logprobs is not None:
                self._growth.logprobs.append(msgspec.structs.replace(logprobs, hidden=hidden))
            text = self._decode(token)
            self._read(text.removesuffix(self._alone(token)) if hidden else text)
        elif logprobs is not None:
            self._growth.logprobs.append(msgspec.structs.replace(logprobs, hidden=True, ends=True))
        if self._stopped or self._has_enough_calls():
            finish = "stop"
        if finish is not None:
            self._finish(finish)

    def take(self) -> Piece | None:
        """What the answer grew by since the last call; None where nothing can be shown yet."""
        grown = self._growth
        text, reasoning = "".join(grown.text), "".join(grown.reasoning)
        shows = text or reasoning or grown.calls or self.finish_reason or len(grown.tokens) >= MAX_WITHHELD
        is_empty = self.finish_reason is not None and not self.tokens and not self._pieces
        if not shows or not (grown.tokens or is_empty):
            return None
        piece = Piece(
            choice=self.choice,
            text=text,
            reasoning=reasoning,
            tokens=tuple(grown.tokens),
            tool_calls=tuple(grown.calls),
            logprobs=tuple(grown.logprobs),
            finish_reason=self.finish_reason,
            stop=self.stop,
            prompt_logprobs=grown.prompt_logprobs,
        )
        self._growth = _Growth()
        self._pieces.append(piece)
        return piece

    def replay(self, pieces: Sequence[Piece]) -> None:
        """Take over what an earlier execution has published of this answer."""
        for piece in pieces:
            for token in piece.tokens[:-1]:
                self.add(token)
            if piece.tokens:
                self.add(piece.tokens[-1], piece.finish_reason)
            elif piece.finish_reason is not None:
                self.end_empty()
            self.stop = piece.stop  # add() took the last token of a stop text for an end marker
            self._growth = _Growth()
            self._pieces.append(piece)

    def choice_so_far(self) -> Choice:
        """The whole answer. Call it when it is complete and taken."""
        pieces = self._pieces
        return Choice(
            text="".join(piece.text for piece in pieces),
            reasoning="".join(piece.reasoning for piece in pieces),
            tool_calls=tuple(call for piece in pieces for call in piece.tool_calls),
            logprobs=tuple(each for piece in pieces for each in piece.logprobs),
            finish_reason=self.finish_reason or "stop",
            tokens=len(self.tokens),
            stop=self.stop,
            prompt_logprobs=tuple(each for piece in pieces for each in piece.prompt_logprobs),
        )

    @property
    def _stopped(self) -> bool:
        return self._segments.stopped or self._stops.stopped

    def _hides(self, token: int) -> bool:
        """Whether it is a special token that means nothing here. In a call it may be a part of the model's notation."""
        name = self._format.specials.get(token)
        if name is None or self._segments.in_call:
            return False
        if self._segments.knows(name):
            self._marks.add(name)
            return False
        return True

    def _decode(self, token: int) -> str:
        text = self._stream.step(self._format.tokenizer, token)
        if text is None:
            self._undecoded.append(token)
            return ""
        self._undecoded.clear()
        return text

    def _alone(self, token: int) -> str:
        """A token's text by itself."""
        return self._format.tokenizer.decode([token], skip_special_tokens=False)

    def _read(self, text: str) -> None:
        if text:
            self._sort(self._segments.read(text))

    def _sort(self, segments: Sequence[Segment]) -> None:
        for n, (kind, text) in enumerate(segments):
            if kind == TOOL:
                self._tool_text = (self._tool_text or "") + text
            elif self._tool_text is not None:
                self._end_tool_call()
                if self._stops.stopped:
                    return
            if kind == REASONING:
                self._growth.reasoning.append(self._without_marks(text))
                self._trims = True
            elif kind == NORMAL:
                self._add_text(self._without_marks(text))
            if self._stops.stopped:
                return
            if n + 1 < len(segments):  # a marker follows
                self._show(self._stops.close())
                self._fresh = self._trims = True
                self._space = ""

    def _without_marks(self, text: str) -> str:
        """Without special tokens that became no marker."""
        for name in self._marks:
            text = text.replace(name, "")
        return text

    def _add_text(self, text: str) -> None:
        if self._fresh and self._trims:
            text = text.lstrip()
        elif self._fresh and self._segments.has_markers:
            text, self._space = self._space + text, ""
            if not text.strip():
                self._space = text
                return
        if text:
            self._fresh = False
            self._show(self._stops.read(text))

    def _show(self, segments: Sequence[Segment]) -> None:
        self._growth.text += [text for _, text in segments]

    def _end_tool_call(self, finish: FinishReason | None = None) -> None:
        """finish: why there is no end marker."""
        text, self._tool_text = self._tool_text or "", None
        reader = self._format.calls
        self._trims = self._fresh = True
        if reader is None:
            self._show(self._stops.read(text))
            return
        if finish == "length":
            calls = reader.read_truncated(text)
            if text.strip() and not calls:
                log.warning("a truncated tool call could not be read", extra={"characters": len(text)})
            self._growth.calls += calls
            return
        try:
            self._growth.calls += reader.read(text)
        except Exception as error:  # noqa: BLE001
            # Whatever a model's parser raises: the caller gets what the model wrote.
            kind = type(error).__name__
            log.warning("a tool call could not be read", extra={"characters": len(text), "error": kind})
            before, behind = reader.markers
            self._show(self._stops.read(before + text + ("" if finish else behind)))

    def _has_enough_calls(self) -> bool:
        return self._format.one_call and bool(self._growth.calls)

    def _finish(self, finish: FinishReason) -> None:
        if self._undecoded and not self._stopped:
            self._read(self._format.tokenizer.decode(self._undecoded, skip_special_tokens=False))
        if not self._stopped:
            self._sort(self._segments.close())
        if self._tool_text is not None:
            self._end_tool_call("stop" if self._stopped else finish)
        self._show(self._stops.read(self._space))
        self._show(self._stops.close())
        self.stop = self._segments.stop if self._stops.stop is None else self._stops.stop
        if self.stop is not None:
            finish = "stop"  # also where the length is reached with it
        if self._format.one_call:
            del self._growth.calls[1:]
        called = self._growth.calls or any(piece.tool_calls for piece in self._pieces)
        self.finish_reason = "tool_calls" if called and finish == "stop" else finish
