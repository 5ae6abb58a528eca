"""Ends numbers that a model would go on with for ever: a grammar of JSON bounds neither digits nor exponents."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_CHARACTERS = 24
"""Of a number: none that fits 64 bits is longer, as an integer (20) or as a double (24)."""

_OF_NUMBERS = frozenset(b"0123456789.eE+-")
_FIRST = frozenset(bytes((each,)) for each in _OF_NUMBERS)
_QUOTE, _ESCAPE = b'"\\'


@dataclass(frozen=True, slots=True)
class NumberTokens:
    """Of a vocabulary: which tokens begin with a character of a number, one bit each, and what a token's bytes are."""

    words: NDArray[np.uint32]
    bytes_of: Callable[[int], bytes]


def number_tokens(vocab_size: int, bytes_of: Callable[[int], bytes]) -> NumberTokens:
    bits = np.fromiter((bytes_of(i)[:1] in _FIRST for i in range(vocab_size)), bool, vocab_size)
    padded = np.pad(bits, (0, -vocab_size % 32))
    return NumberTokens(np.packbits(padded, bitorder="little").view(np.uint32), bytes_of)


class NumberRun:
    """Where JSON that is being written stands: how long the number is that it ends with."""

    def __init__(self, tokens: NumberTokens) -> None:
        self._tokens = tokens
        self._length = 0
        self._in_string = False
        self._escaped = False

    def advance(self, token: int) -> None:
        for character in self._tokens.bytes_of(token):
            if self._in_string:
                closes = character == _QUOTE and not self._escaped
                self._escaped = character == _ESCAPE and not self._escaped
                self._in_string = not closes
            else:
                self._in_string = character == _QUOTE
                self._length = self._length + 1 if character in _OF_NUMBERS else 0

    def narrow(self, words: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """The mask without tokens that go on with a number that is long enough, unless nothing else may come."""
        if self._length < MAX_CHARACTERS:
            return words
        rest = words.copy()
        shared = min(len(rest), len(self._tokens.words))
        rest[:shared] &= ~self._tokens.words[:shared]
        return rest if rest.any() else words
