"""Ends runs in JSON that a small model would continue for ever: the digits of a number, and white space.

A grammar of JSON limits no digits. It cannot count how deep a value is nested, so it allows too much white space.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_NUMBER = 24
"""Characters: none that fits 64 bits is longer, as an integer (20) or as a double (24)."""

INDENT = 4
"""Spaces of each level, after a line break."""

NUMBER, SPACE = frozenset(b"0123456789.eE+-"), frozenset(b" \t\r\n")
OPEN, CLOSE = frozenset(b"[{"), frozenset(b"]}")
QUOTE, ESCAPE, RETURN = b'"\\\r'

Words = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class JsonTokens:
    """What a vocabulary's tokens are in JSON."""

    numbers: Words
    """One bit per token: whether it begins with a character of a number."""
    spaces: Words
    """One bit per token: whether it begins with white space."""
    bytes_of: Callable[[int], bytes]
    """A token's bytes."""


def json_tokens(vocab_size: int, bytes_of: Callable[[int], bytes]) -> JsonTokens:
    firsts = [(bytes_of(token) or b"\0")[0] for token in range(vocab_size)]
    return JsonTokens(_words(firsts, NUMBER), _words(firsts, SPACE), bytes_of)


class JsonRuns:
    """The state of JSON that is being written: its depth, and how long the number or white space at its end is."""

    def __init__(self, tokens: JsonTokens) -> None:
        self._tokens = tokens
        self._depth = 0
        self._number = 0
        self._space = 0
        self._in_string = False
        self._escaped = False

    def advance(self, token: int) -> None:
        for character in self._tokens.bytes_of(token):
            if self._in_string:
                self._in_string = character != QUOTE or self._escaped
                self._escaped = character == ESCAPE and not self._escaped
                continue
            self._in_string = character == QUOTE
            self._number = self._number + 1 if character in NUMBER else 0
            self._space = self._space + (character != RETURN) if character in SPACE else 0
            self._depth += (character in OPEN) - (character in CLOSE)

    def narrow(self, words: Words) -> Words:
        """The mask without tokens that go on with what is long enough, unless nothing else may come."""
        if self._number >= MAX_NUMBER:
            return _without(words, self._tokens.numbers)
        if self._space > INDENT * self._depth:
            return _without(words, self._tokens.spaces)
        return words


def _words(firsts: list[int], wanted: frozenset[int]) -> Words:
    bits = np.isin(np.array(firsts, np.uint8), list(wanted))
    return np.packbits(np.pad(bits, (0, -len(bits) % 32)), bitorder="little").view(np.uint32)


def _without(words: Words, tokens: Words) -> Words:
    rest = words.copy()
    shared = min(len(rest), len(tokens))
    rest[:shared] &= ~tokens[:shared]
    return rest if rest.any() else words
