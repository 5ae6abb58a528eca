"""A token's log-probability, and those of the most probable tokens in its place, with their texts."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from jobs.generate import LEAST_LOGPROB, ScoredToken, TokenLogprobs
from workers.runners.tokens.token_bytes import TokenBytes

MAX_NAMED = 65_536
"""Tokens whose texts are kept: a few megabytes."""


class LogprobsReader:
    """Makes of log-probabilities, which go by token ids, what a caller gets: texts and bytes. Thread-safe."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._bytes = TokenBytes(tokenizer)
        self._named = lru_cache(MAX_NAMED)(self._name)

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
        text, raw = self._named(token)
        return ScoredToken(text, raw, max(logprob, LEAST_LOGPROB), token)

    def _name(self, token: int) -> tuple[str, bytes]:
        raw = self._bytes.of_id(token)
        return raw.decode(errors="replace"), raw

    def is_special(self, token: int) -> bool:
        """Whether it was added to the vocabulary, as end markers are."""
        return self._bytes.is_added(token)

    def raw(self, token: int) -> bytes:
        """What a token stands for: UTF-8, or a part of a character. Nothing for an id without a token."""
        return self._named(token)[1]
