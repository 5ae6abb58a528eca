"""Which parts of a model's output are its answer, its reasoning, and calls of tools.

Built on mlx-lm's TextStateMachine, which finds markers in text (not in tokens) and holds back what may become one.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from mlx_lm.generate import TextStateMachine
from mlx_lm.tokenizer_utils import TokenizerWrapper

NORMAL, REASONING, TOOL = "normal", "reasoning", "tool"

Transitions = dict[str, list[tuple[str, str | None]]]
"""Of each kind of text the markers that end it, and what kind follows. None: nothing; the marker is a stop text."""

_ENDED_BY = "ended by "
"""With a stop text behind it, the kind of what follows that text: so the machine tells which one it met."""


class Segment(NamedTuple):
    """Text of one kind. The last segment of a reading is of the kind that goes on."""

    kind: str
    text: str


class Markup:
    """A reader of one answer. stop: the stop text that was met; it and all behind it are not given out."""

    def __init__(self, transitions: Transitions, initial: str = NORMAL) -> None:
        self._state = TextStateMachine(_with_endings(transitions)).make_state(initial)
        self.stop: str | None = None

    @property
    def stopped(self) -> bool:
        return self.stop is not None

    def read(self, text: str) -> list[Segment]:
        if self.stopped:
            return []
        self._state, segments = TextStateMachine.split(self._state, text)
        kind, _ = segments[-1]
        if kind.startswith(_ENDED_BY):
            self.stop = kind.removeprefix(_ENDED_BY)
            segments.pop()
        return [Segment(*segment) for segment in segments]

    def close(self) -> list[Segment]:
        """What was held back: it became no marker."""
        if self.stopped:
            return []
        self._state, text, kind = TextStateMachine.flush(self._state)
        return [Segment(kind or NORMAL, text)]


def _with_endings(transitions: Transitions) -> dict[str, list[tuple[str, str]]]:
    """Each stop text leads to a kind of its own, which nothing ends."""
    stops = {text for edges in transitions.values() for text, target in edges if target is None}
    found: dict[str, list[tuple[str, str]]] = {_ENDED_BY + text: [] for text in stops}
    for kind, edges in transitions.items():
        found[kind] = [(text, _ENDED_BY + text if target is None else target) for text, target in edges]
    return found


def transitions_of(
    tokenizer: TokenizerWrapper, *, reasoning: bool, tools: bool, stop: Sequence[str]
) -> Transitions:
    """The model's own markers, as far as they are wanted, and the caller's stop texts (in the answer only)."""
    found: Transitions = {NORMAL: [(text, None) for text in stop]}
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


def initial_kind(tokenizer: TokenizerWrapper, ids: Sequence[int]) -> str:
    """Whether the prompt's end leaves the model in the middle of its reasoning."""
    if tokenizer.response_initial_state:
        return tokenizer.response_initial_state
    if not tokenizer.has_thinking:
        return NORMAL
    prompt = list(ids)
    begun, ended = tokenizer.rfind_think_start(prompt), tokenizer.rfind_think_end(prompt)
    return REASONING if begun > ended else NORMAL
