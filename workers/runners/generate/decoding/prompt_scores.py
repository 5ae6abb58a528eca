"""How probable a prompt's tokens are, read from the logits that its prefill computes anyway.

mlx-lm's prefill asks the model for logits and evaluates only its state, so they cost nothing until somebody wants them.
"""

from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.generate import PromptProcessingBatch

from workers.runners.generate.output.prompt_logprobs import PromptScores

MAX_LOGITS_BYTES = 128 << 20
"""Of the float32 logits of the scored prompts' tokens in one step."""

SLICE_BYTES = 8 << 20
"""Of the logits that are looked at together: sorting them takes several times as much."""


def max_scored_tokens(vocab_size: int) -> int:
    """Tokens of scored prompts in one step, all rows together."""
    return max(1, MAX_LOGITS_BYTES // (4 * vocab_size))


class ScoringPrefill(PromptProcessingBatch):
    """The prompts of a batch; scores those that somebody wants to have scored.

    Relies on mlx-lm 0.32: `prompt` calls the model with what comes next of each row, padded at its right, and `tokens`
    holds what each row has read before.
    """

    scored: dict[int, PromptScores]
    """By uid. Whoever makes a batch that prompts are given to sets it."""

    def prompt(self, tokens: list[list[int]]) -> None:
        """tokens: of each row, what comes next of its prompt."""
        wanted = {row: self.scored[uid] for row, uid in enumerate(self.uids) if uid in self.scored}
        if not wanted:
            self.compute(tokens)
            return
        begun = [len(known) for known in self.tokens]
        model = self.model
        self.model = seen = _Seen(model)
        try:
            self.compute(tokens)
        finally:
            self.model = model
        for row, scores in wanted.items():
            count = min(len(tokens[row]), scores.prompt_tokens - 1 - begun[row])
            if count > 0:
                add_scores(scores, begun[row], seen.logits(row, count))

    def compute(self, tokens: list[list[int]]) -> None:
        """Read these tokens of each row."""
        super().prompt(tokens)


class _Seen:
    """A model that remembers its logits."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._found: list[mx.array] = []

    def __call__(self, *inputs: Any, **options: Any) -> mx.array:
        self._found.append(self._model(*inputs, **options))
        return self._found[-1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def logits(self, row: int, count: int) -> mx.array:
        """(count, vocabulary): of a row's first so many tokens, in all calls together."""
        pieces: list[mx.array] = []
        for each in self._found:
            pieces.append(each[row, :count])
            count -= len(pieces[-1])
        return mx.concatenate(pieces)


def add_scores(scores: PromptScores, begun: int, logits: mx.array) -> None:
    """logits (tokens, vocabulary): of the tokens that follow the prompt's first `begun`; each scores the next one.

    Raises FloatingPointError: the worker then finds the answer at fault.
    """
    step = max(1, SLICE_BYTES // (4 * logits.shape[-1]))
    for start in range(0, len(logits), step):
        _add_slice(scores, begun + start, logits[start : start + step])


def _add_slice(scores: PromptScores, begun: int, logits: mx.array) -> None:
    following = mx.array([*scores.ids[begun + 1 : begun + 1 + len(logits)]])
    norms = mx.logsumexp(logits, axis=-1, keepdims=True)
    found = mx.take_along_axis(logits, following[:, None], axis=1)
    ranks = 1 + mx.sum(logits > found, axis=1)
    best = _most_probable(logits, scores.top)
    values = mx.take_along_axis(logits, best, axis=-1) - norms
    chosen = found - norms
    mx.eval(chosen, ranks, best, values)
    if np.isnan(np.array(chosen)).any():
        raise FloatingPointError("the model computed logits that are not numbers")
    scores.add(np.array(chosen)[:, 0], np.array(ranks, dtype=np.int32), np.array(best), np.array(values))


def _most_probable(logits: mx.array, top: int) -> mx.array:
    """Ids (tokens, top), most probable first."""
    if top == 0:
        return mx.zeros((len(logits), 0), dtype=mx.int32)
    if top == 1:
        return mx.argmax(logits, axis=-1, keepdims=True)
    found = mx.argpartition(logits, -top, axis=-1)[:, -top:]
    order = mx.argsort(-mx.take_along_axis(logits, found, axis=-1), axis=-1)
    return mx.take_along_axis(found, order, axis=-1)
