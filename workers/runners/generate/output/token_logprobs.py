"""A token's log-probability, and those of the most probable tokens in its place, with their texts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from jobs.generate import LEAST_LOGPROB, ScoredToken, TokenLogprobs


def _byte_of_character() -> dict[str, int]:
    """GPT-2's table: which byte a character of a byte-level vocabulary stands for (printable ones are themselves)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


class LogprobsReader:
    """Makes of log-probabilities, which go by token ids, what a caller gets: texts and bytes. Thread-safe."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._special = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
        self._bytes = _byte_of_character() if _is_byte_level(tokenizer) else None

    def describe(self, logprobs: NDArray[np.float32], token: int, top: int) -> TokenLogprobs:
        """logprobs: of the whole vocabulary, (vocabulary,). top: how many of the most probable tokens to tell."""
        best: list[int] = []
        if top:
            likely = np.argpartition(logprobs, -top)[-top:]
            best = [int(each) for each in likely[np.argsort(-logprobs[likely], kind="stable")]]
        return TokenLogprobs(
            chosen=self.scored(token, float(logprobs[token])),
            top=tuple(self.scored(each, float(logprobs[each])) for each in best),
        )

    def scored(self, token: int, logprob: float) -> ScoredToken:
        """A token with its text. logprob: minus infinity becomes LEAST_LOGPROB."""
        raw = self.raw(token)
        return ScoredToken(raw.decode(errors="replace"), raw, max(logprob, LEAST_LOGPROB), token)

    def is_special(self, token: int) -> bool:
        """Whether it was added to the vocabulary, as end markers are."""
        return self._tokenizer.id_to_token(token) in self._special

    def raw(self, token: int) -> bytes:
        """What a token stands for: UTF-8, or a part of a character. Nothing for an id without a token."""
        name = self._tokenizer.id_to_token(token)
        if name is None:
            return b""
        if name in self._special:
            return name.encode()
        if self._bytes is not None:
            return bytes(self._bytes[character] for character in name if character in self._bytes)
        if len(name) == 6 and name.startswith("<0x") and name.endswith(">"):
            return bytes([int(name[3:5], 16)])
        return name.replace("▁", " ").encode()


def _is_byte_level(tokenizer: Tokenizer) -> bool:
    decoder: Any = tokenizer.decoder
    return "ByteLevel" in repr(decoder)
