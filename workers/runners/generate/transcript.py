"""One answer as it is written: tokens in, pieces of text, reasoning and tool calls out."""

import json
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from jobs.generation import Choice, FinishReason, Piece, TokenLogprobs, ToolCall
from workers.runners.generate.markup import NORMAL, REASONING, TOOL, Markup, Segment

log = logging.getLogger(__name__)

CONTEXT = 6
"""Tokens of the prompt that decoding a first token needs to know (whether a space belongs before it)."""

MAX_WITHHELD = 16
"""After so many tokens there is a piece also without text, so that a successor need not write them again."""

ParseToolCall = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Script:
    """How an answer is to be read: the same for all answers to a job.

    prompt: its ids. lead: text that is put before the answer.
    parse: the model's own reader of a tool call's text. one_call: end with the first
    call. markers: what stands around a tool call, to give it back as text where it cannot be read.
    """

    tokenizer: Tokenizer
    markup: Callable[[], Markup]
    prompt: tuple[int, ...]
    lead: str = ""
    parse: ParseToolCall | None = None
    one_call: bool = False
    markers: tuple[str, str] = ("", "")

    def with_tools(self, parse: ParseToolCall, *, one_call: bool, markers: tuple[str, str]) -> "Script":
        return replace(self, parse=parse, one_call=one_call, markers=markers)


@dataclass(slots=True)
class _Growth:
    """What has been read and not given out."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    logprobs: list[TokenLogprobs] = field(default_factory=list)


class Transcript:
    """finish_reason is set when the answer is complete; tokens that come later are ignored. stop: the caller's stop
    text that ended it.
    """

    def __init__(self, script: Script, choice: int = 0) -> None:
        self.choice = choice
        self.tokens: list[int] = []
        self.finish_reason: FinishReason | None = None
        self.stop: str | None = None
        self._script = script
        self._markup = script.markup()
        self._stream = DecodeStream(skip_special_tokens=False)
        for token in script.prompt[-CONTEXT:]:
            self._stream.step(script.tokenizer, token)
        self._undecoded: list[int] = []
        self._tool_text: str | None = None
        self._fresh = True  # no text yet, or a marker before it: white space there is not meant
        self._trims = False
        self._growth = _Growth(text=[script.lead] if script.lead else [])
        self._pieces: list[Piece] = []

    def add(
        self, token: int, finish: FinishReason | None = None, logprobs: TokenLogprobs | None = None
    ) -> None:
        """The next token. finish "stop": it is an end marker, which is no text; "length": there will be no more."""
        if self.finish_reason is not None:
            return
        self.tokens.append(token)
        self._growth.tokens.append(token)
        if logprobs is not None and finish != "stop":
            self._growth.logprobs.append(logprobs)
        if finish != "stop":
            self._read(self._decode(token))
        if self._markup.stopped or self._has_enough_calls():
            finish = "stop"
        if finish is not None:
            self._finish(finish)

    def take(self) -> Piece | None:
        """What the answer grew by since the last call; None where nothing can be shown yet."""
        grown = self._growth
        text, reasoning = "".join(grown.text), "".join(grown.reasoning)
        shows = text or reasoning or grown.calls or self.finish_reason or len(grown.tokens) >= MAX_WITHHELD
        if not shows or not grown.tokens:
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
        )
        self._growth = _Growth()
        self._pieces.append(piece)
        return piece

    def replay(self, pieces: Sequence[Piece]) -> None:
        """Take over what another worker has told of this answer."""
        for piece in pieces:
            for token in piece.tokens[:-1]:
                self.add(token)
            if piece.tokens:
                self.add(piece.tokens[-1], piece.finish_reason)
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
        )

    def _decode(self, token: int) -> str:
        text = self._stream.step(self._script.tokenizer, token)
        if text is None:
            self._undecoded.append(token)
            return ""
        self._undecoded.clear()
        return text

    def _read(self, text: str) -> None:
        if text:
            self._sort(self._markup.read(text))

    def _sort(self, segments: Sequence[Segment]) -> None:
        for n, (kind, text) in enumerate(segments):
            if kind == TOOL:
                self._tool_text = (self._tool_text or "") + text
            elif self._tool_text is not None:
                self._end_tool_call()
            if kind == REASONING:
                self._growth.reasoning.append(text)
                self._trims = True
            elif kind == NORMAL:
                self._add_text(text)
            if n + 1 < len(segments):  # a marker follows
                self._fresh = self._trims = True

    def _add_text(self, text: str) -> None:
        if self._fresh and self._trims:
            text = text.lstrip()
        if text:
            self._fresh = False
            self._growth.text.append(text)

    def _end_tool_call(self) -> None:
        text, self._tool_text = self._tool_text or "", None
        try:
            assert self._script.parse is not None
            parsed = self._script.parse(text)
            calls = parsed if isinstance(parsed, list) else [parsed]
            self._growth.calls += [_tool_call(call) for call in calls]
        except Exception:
            # Whatever a model's parser raises: the caller gets what the model wrote.
            log.warning("a tool call could not be read", extra={"characters": len(text)}, exc_info=True)
            before, behind = self._script.markers
            self._growth.text.append(before + text + behind)
        self._trims = self._fresh = True

    def _has_enough_calls(self) -> bool:
        return self._script.one_call and bool(self._growth.calls)

    def _finish(self, finish: FinishReason) -> None:
        if self._undecoded and not self._markup.stopped:
            self._read(self._script.tokenizer.decode(self._undecoded, skip_special_tokens=False))
        self.stop = self._markup.stop
        if self.stop is not None:
            finish = "stop"  # also where the length is reached with it
        self._sort(self._markup.close())
        if self._tool_text is not None:
            self._end_tool_call()
        if self._script.one_call:
            del self._growth.calls[1:]
        called = self._growth.calls or any(piece.tool_calls for piece in self._pieces)
        self.finish_reason = "tool_calls" if called and finish == "stop" else finish


def _tool_call(call: dict[str, Any]) -> ToolCall:
    """What mlx-lm's parsers return: {"name", "arguments"}, the arguments as an object or as its JSON text."""
    arguments = call["arguments"]
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return ToolCall(
        id=call.get("id") or f"call_{secrets.token_hex(12)}", name=str(call["name"]), arguments=text
    )
