"""Texts without what makes no difference to a WordPiece tokenizer: runs of white space and of characters that it drops,
the ends of long words.
"""

import json
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers

PIECE_CHARS = 1 << 16
"""Compacted in one go: Python's lock is held meanwhile."""

NEW_CHARS = 4096
"""How many new characters of a piece are classified: the tokenizer is asked about each."""

OTHER, DROPPED, BLANK, LETTER = 1, 2, 3, 4
"""What the tokenizer makes of a character: none of these, nothing, white space, a part of a word. 0: not asked yet."""

PLAIN_NORMALIZERS = {"BertNormalizer", "Lowercase"}
"""They read each character by itself, and make at least one of each that they do not drop."""


class Compactor:
    """Of one tokenizer's texts. Thread-safe: all threads write the same kinds."""

    def __init__(self, tokenizer: Tokenizer, longest_word: int) -> None:
        """longest_word: in characters; the tokenizer makes one token of any longer word."""
        self._normalizer = tokenizer.normalizer
        self._pre_tokenizer = tokenizer.pre_tokenizer
        self._longest_word = longest_word
        self._kinds = np.zeros(0x110000, dtype=np.uint8)

    def compacted(self, text: str) -> str:
        """A text of which the tokenizer makes the same ids, alone and behind any other text."""
        while True:
            pieces = [text[at : at + PIECE_CHARS] for at in range(0, len(text), PIECE_CHARS)]
            shorter = "".join(self._compacted_piece(piece) for piece in pieces)
            if len(shorter) > len(text) // 2 or len(pieces) == 1:  # else pieces may be compacted together
                return shorter
            text = shorter

    def kind(self, char: str) -> int:
        """OTHER, DROPPED, BLANK or LETTER: what the tokenizer makes of it between two letters."""
        read = "a" + char + "a"
        if self._normalizer is not None:
            read = self._normalizer.normalize_str(read)
        words = [word for word, _ in self._pre_tokenizer.pre_tokenize_str(read)]
        if words == ["aa"]:
            return DROPPED
        if words == ["a", "a"]:
            return BLANK
        return LETTER if len(words) == 1 else OTHER

    def _compacted_piece(self, piece: str) -> str:
        codes = np.frombuffer(piece.encode("utf-32-le"), dtype=np.uint32)
        new = np.unique(codes[self._kinds[codes] == 0])[:NEW_CHARS]
        self._kinds[new] = [self.kind(chr(code)) for code in new]
        codes = self._few_blanks(codes)
        return self._short_words(codes).tobytes().decode("utf-32-le")

    def _few_blanks(self, codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Of a run of white space and dropped characters one of each is enough. One stays: it parts a special token."""
        kinds = self._kinds[codes]
        blank, empty = kinds == BLANK, (kinds == BLANK) | (kinds == DROPPED)
        first_blank = blank & (_since(blank, ~empty) == 1)
        first = empty & (_since(empty, ~empty) == 1)
        return codes[~empty | first_blank | (first & ~blank)]

    def _short_words(self, codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
        kinds = self._kinds[codes]
        letter = kinds == LETTER
        return codes[_since(letter, ~letter & (kinds != DROPPED)) <= self._longest_word + 1]


def compactor(tokenizer: Tokenizer) -> Compactor | None:
    """None for a tokenizer to which more characters make a difference."""
    longest_word = int(getattr(tokenizer.model, "max_input_chars_per_word", 0))
    if not (
        isinstance(tokenizer.model, models.WordPiece)
        and isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        and PLAIN_NORMALIZERS.issuperset(_normalizers(tokenizer))
    ):
        return None
    found = Compactor(tokenizer, longest_word)
    # Each is to be parted from the words around it, and to hold nothing that is left out: "[SEP]" is so.
    plain = all(
        token.content.isascii()
        and len(token.content) <= longest_word
        and not token.single_word
        and {OTHER} == {found.kind(token.content[0]), found.kind(token.content[-1])}
        and {OTHER, LETTER}.issuperset(map(found.kind, token.content))
        for token in tokenizer.get_added_tokens_decoder().values()
    )
    return found if plain else None


def _normalizers(tokenizer: Tokenizer) -> Iterable[str]:
    """Their kinds."""
    if tokenizer.normalizer is None:
        return []
    # The library tells what a sequence is made of only as JSON.
    state = json.loads(tokenizer.normalizer.__getstate__())
    return [each["type"] for each in state.get("normalizers", [state])]


def _since(counted: NDArray[np.bool_], broken: NDArray[np.bool_]) -> NDArray[np.int64]:
    """At each index, how many are counted since the last break."""
    counts = np.cumsum(counted)
    return counts - np.maximum.accumulate(np.where(broken, counts, 0))
