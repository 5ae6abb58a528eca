"""The log-probabilities of a prompt's tokens: gathered as the prompt is computed, then told with the tokens' texts."""

import codecs
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jobs.generate import PromptToken
from workers.runners.generate.output.token_logprobs import LogprobsReader


class PromptScores:
    """Of one prompt: of each token but the first, which follows nothing. The device's thread fills it."""

    def __init__(self, ids: Sequence[int], top: int) -> None:
        """ids: of the prompt. top: how many of the most probable tokens to keep for each place."""
        self.ids = ids
        self.top = top
        self._logprobs: list[NDArray[np.float32]] = []
        self._ranks: list[NDArray[np.int32]] = []
        self._best: list[NDArray[np.integer]] = []
        self._values: list[NDArray[np.float32]] = []

    @property
    def prompt_tokens(self) -> int:
        return len(self.ids)

    def add(
        self,
        logprobs: NDArray[np.float32],
        ranks: NDArray[np.int32],
        best: NDArray[np.integer],
        values: NDArray[np.float32],
    ) -> None:
        """Of the tokens that come next: their log-probabilities and ranks (tokens,), and the ids of the most probable
        ones in their places with their log-probabilities (tokens, top), most probable first.
        """
        self._logprobs.append(logprobs)
        self._ranks.append(ranks)
        self._best.append(best)
        self._values.append(values)

    def describe(self, reader: LogprobsReader, text: str) -> tuple[PromptToken, ...]:
        """One for each token of the prompt. text: the prompt's own; special tokens that it has not are hidden. Empty
        where it is not shown.
        """
        hidden = _hidden(reader, self.ids, text) if text else [False] * len(self.ids)
        first, *others = self.ids
        told = [_token(reader, first, hidden[0])]
        if not others:
            return tuple(told)
        columns = zip(
            others,
            np.concatenate(self._logprobs).tolist(),
            np.concatenate(self._ranks).tolist(),
            np.concatenate(self._best).tolist(),
            np.concatenate(self._values).tolist(),
            hidden[1:],
            strict=True,
        )
        for token, logprob, rank, best, values, hides in columns:
            top = tuple(map(reader.scored, best, values))
            said = reader.scored(token, logprob)
            told.append(PromptToken(token, said.text, said.bytes, said.logprob, rank, top, hides))
        return tuple(told)


def _token(reader: LogprobsReader, token: int, hidden: bool) -> PromptToken:
    raw = reader.raw(token)
    return PromptToken(token, raw.decode(errors="replace"), raw, hidden=hidden)


def _hidden(reader: LogprobsReader, ids: Sequence[int], text: str) -> list[bool]:
    """Of each token, whether it is a special one that is not in the text where it should be."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    found: list[bool] = []
    at = 0
    for token in ids:
        raw = reader.raw(token)
        hides = reader.is_special(token) and not text.startswith(raw.decode(errors="replace"), at)
        found.append(hides)
        if not hides:
            part = decoder.decode(raw)
            # SentencePiece reads a text as if a space were before it, and some of its tokenizers what follows a special
            # token.
            adds = part.startswith(" ") and not text.startswith(" ", at) and text.startswith(part[1:], at)
            at += len(part) - adds
    return found
