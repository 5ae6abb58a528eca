"""The part of a long text that can matter to a model with a limit: its first tokens, or its last."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from workers.runners.tokens.compactor import compactor

Side = Literal["start", "end"]
"""Where the text is cut: "end" keeps its first tokens, "start" its last, and what it begins with."""

CHARS_PER_TOKEN = 8
"""More than most texts have. One that has more of them is tried again with a longer part."""

SPARE_CHARS = 4096
"""A text shorter than this is read whole, whatever the limit."""

MARGIN_TOKENS = 256
"""Tokens of a part beyond those that are needed: at its cut, tokens may differ from the whole text's."""

STEP_CHARS = 1009
"""Distance of the two cuts that are compared. A prime: repeated patterns are then cut at different characters."""

GROWTH = 16
"""A part with too few tokens is followed by one this much longer, so that all tries cost little beside the last."""

WORTH = 4
"""A text shorter than so many parts is read whole: otherwise two parts are tokenised, and one of them again by the
caller.
"""

Encode = Callable[[Sequence[str]], Sequence[NDArray[np.int32]]]


class Excerpt(NamedTuple):
    """A part of a text, to be tokenised instead of the whole."""

    text: str
    overlong: bool
    """Whether the whole text certainly has more tokens than were asked for."""


class Excerpts:
    """Of one tokenizer's texts. Thread-safe."""

    def __init__(self, tokenizer: Tokenizer, encode: Encode) -> None:
        """encode: of each text its ids, special tokens included."""
        # WordPiece makes one [UNK] of any longer word.
        self._longest_word = int(getattr(tokenizer.model, "max_input_chars_per_word", 0))
        self._encode = encode
        self._compactor = compactor(tokenizer)
        self.beginning_chars = STEP_CHARS + 2 * self._longest_word
        """Of a text: what may share a token with that which is before it. Each letter of a word may have a character
        behind it that is dropped.
        """

    def of(self, text: str, tokens: int, side: Side = "end") -> Excerpt:
        """A part of the text whose first (or last) `tokens` ids are those of the whole, and which has more than that;
        or all of a text that is short, or that must be read whole to know.

        A tokenizer reads from left to right, word by word, and the margin holds many words: a cut behind it changes
        nothing before it. Where that is not so (a text that is one word, a pattern that looks ahead to a text's end),
        two different cuts give different tokens, and the whole text is read. With side "start", the beginning stays,
        too: what is before the text may share a token with it.
        """
        margin = MARGIN_TOKENS + self._longest_word
        size = CHARS_PER_TOKEN * (tokens + margin) + SPARE_CHARS
        unused = self._compactor
        while WORTH * (size + STEP_CHARS) + self.beginning_chars < len(text):
            parts = [_part(text, size, side), _part(text, size + STEP_CHARS, side)]
            shorter, longer = self._encode(parts)
            if min(len(shorter), len(longer)) >= tokens + margin and _alike(shorter, longer, tokens, side):
                beginning = text[: self.beginning_chars] if side == "start" else ""
                return Excerpt(beginning + parts[1], overlong=True)
            whole = text
            if unused is not None:
                text, unused = unused.compacted(text), None
            if len(text) == len(whole):
                size *= GROWTH
        return Excerpt(text, overlong=False)


def _part(text: str, size: int, side: Side) -> str:
    return text[:size] if side == "end" else text[-size:]


def _alike(one: NDArray[np.int32], other: NDArray[np.int32], tokens: int, side: Side) -> bool:
    if side == "end":
        return np.array_equal(one[:tokens], other[:tokens])
    return np.array_equal(one[-tokens:], other[-tokens:])
