"""Which parts of a model's output are its answer, its reasoning, and calls of tools.

Built on mlx-lm's TextStateMachine, which finds markers in text (not in tokens) and holds back what may become one.
"""

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mlx_lm.tokenizer_utils import TokenizerWrapper

NORMAL, REASONING, TOOL = "normal", "reasoning", "tool"

Transitions = dict[str, list[tuple[str, str | None]]]
"""Of each kind of text the markers that end it, and what kind follows. None: nothing; the marker is a stop text."""

_ENDED_BY = "ended by "
"""Followed by a stop text, this is the kind of all text after it; so the machine's state says which one it met."""


@functools.cache
def _machine() -> Any:
    """mlx-lm's class, once an answer needs it: its import takes seconds."""
    from mlx_lm.generate import TextStateMachine

    return TextStateMachine


class Segment(NamedTuple):
    """Text of one kind. The last segment of a reading is of the kind that goes on."""

    kind: str
    text: str


class OutputSegments:
    """Splits one answer's text into segments by the markers in it."""

    def __init__(self, transitions: Transitions, initial: str = NORMAL, stop: Sequence[str] = ()) -> None:
        """stop: texts that end the answer in text of any kind, also where they are markers."""
        edges = _with_stops(transitions, stop)
        self._marks = tuple(text for kind in edges.values() for text, _ in kind)
        self.has_markers = any(target is not None for kind in edges.values() for _, target in kind)
        """Whether markers split the answer into kinds, other than stop texts that end it."""
        self._state: Any = (initial,)
        if self._marks:
            self._state = _machine()(_with_endings(edges)).make_state(initial)
        self.stop: str | None = None
        """The stop text that was met. It, and all behind it, is not given out."""

    @property
    def stopped(self) -> bool:
        return self.stop is not None

    @property
    def in_call(self) -> bool:
        """Whether what comes next belongs to a call of a tool, as far as is known."""
        return self._state[0] == TOOL

    def knows(self, name: str) -> bool:
        """Whether a special token is a marker or a stop text, or a part of one."""
        return any(name in mark for mark in self._marks)

    def read(self, text: str) -> list[Segment]:
        if self.stopped:
            return []
        if not self._marks:
            return [Segment(self._state[0] or NORMAL, text)]
        self._state, segments = _machine().split(self._state, text)
        kind, _ = segments[-1]
        if kind.startswith(_ENDED_BY):
            self.stop = kind.removeprefix(_ENDED_BY)
            segments.pop()
        return [Segment(*segment) for segment in segments]

    def close(self) -> list[Segment]:
        """The text that was held back, because it might have become a marker and did not."""
        if self.stopped or not self._marks:
            return []
        self._state, text, kind = _machine().flush(self._state)
        return [Segment(kind or NORMAL, text)]


def _with_stops(transitions: Transitions, stop: Sequence[str]) -> Transitions:
    return {
        kind: [*((text, None) for text in stop), *(edge for edge in edges if edge[0] not in stop)]
        for kind, edges in transitions.items()
    }


def _with_endings(transitions: Transitions) -> dict[str, list[tuple[str, str]]]:
    """Each stop text leads to a kind of its own, which nothing ends."""
    stops = {text for edges in transitions.values() for text, target in edges if target is None}
    found: dict[str, list[tuple[str, str]]] = {_ENDED_BY + text: [] for text in stops}
    for kind, edges in transitions.items():
        found[kind] = [(text, _ENDED_BY + text if target is None else target) for text, target in edges]
    return found


def split_stops(
    stop: Sequence[str], transitions: Transitions, specials: Iterable[str]
) -> tuple[list[str], list[str]]:
    """The caller's stop texts that name a marker or a special token, and the others.

    The former are no part of the visible text, so they are searched in all that the model writes.
    """
    marks = {text for edges in transitions.values() for text, _ in edges}.union(specials) if stop else ()
    named = [text for text in stop if any(mark in text for mark in marks)]
    return named, [text for text in stop if text not in named]


def transitions_of(tokenizer: "TokenizerWrapper", *, reasoning: bool, tools: bool) -> Transitions:
    """The model's own markers, as far as they are wanted."""
    found: Transitions = {NORMAL: []}
    if reasoning and tokenizer.has_thinking:
        found[NORMAL].append((str(tokenizer.think_start), REASONING))
        found[REASONING] = [(str(tokenizer.think_end), NORMAL)]
    if tools and tokenizer.has_tool_calling:
        own: dict[str, Any] = tokenizer.response_transitions
        if not any(target == TOOL for edges in own.values() for _, target in edges):
            found[NORMAL].append((str(tokenizer.tool_call_start), TOOL))
        if REASONING in found:
            found[REASONING].append((str(tokenizer.tool_call_start), TOOL))
        found[TOOL] = [(str(tokenizer.tool_call_end), NORMAL)] if tokenizer.tool_call_end else []
    if reasoning:
        for marker in tokenizer.structural_markers or ():
            found[NORMAL].append((marker, NORMAL))
        for kind, edges in tokenizer.response_transitions.items():
            found.setdefault(kind, []).extend(edges)
    return found


def initial_kind(tokenizer: "TokenizerWrapper", ids: Sequence[int], *, goes_on: bool = False) -> str:
    """Whether the prompt's end leaves the model in the middle of its reasoning.

    goes_on: the prompt ends with the beginning of the answer, whose markers tell, and not the model's usual state.
    """
    if tokenizer.response_initial_state and not goes_on:
        return tokenizer.response_initial_state
    if not tokenizer.has_thinking:
        return NORMAL
    prompt = list(ids)
    begun, ended = tokenizer.rfind_think_start(prompt), tokenizer.rfind_think_end(prompt)
    return REASONING if begun > ended else NORMAL
