"""Prompts computed in a few shapes only, for a CUDA device (workers.scheduling.batch_shapes says why)."""

from typing import Any

import mlx.core as mx

from workers.runners.generate.decoding.prompt_scores import ScoringPrefill
from workers.scheduling.batch_shapes import rounded_length

MAX_CACHE_BYTES = 2 * 1024**3
"""Memory that MLX may keep for its next arrays."""


class PaddedPrefill(ScoringPrefill):
    """Pads prompts that are computed together to a rounded length, where mlx-lm pads them to the longest one.

    Relies on mlx-lm 0.32: `prepare` gives a batch's caches the rows' lengths and padding, and `finalize` takes the
    padding out again.
    """

    def compute(self, tokens: list[list[int]]) -> None:
        """Read these tokens of each row."""
        if not tokens:
            return
        longest = max(len(row) for row in tokens)
        width = rounded_length(longest)
        if (
            longest == 0
            or width == longest == min(len(row) for row in tokens)
            or longest > self.prefill_step_size
        ):
            super().compute(tokens)
            return
        for known, row in zip(self.tokens, tokens, strict=True):
            known += row
        lengths = [len(row) for row in tokens]
        padding = [width - length for length in lengths]
        padded = mx.array([row + [0] * (width - len(row)) for row in tokens])
        layers: Any = self.prompt_cache
        for layer in layers:
            layer.prepare(lengths=lengths, right_padding=padding)
        self.model(padded, cache=layers)
        mx.eval([layer.state for layer in layers])
        for layer in layers:
            layer.finalize()
        mx.eval([layer.state for layer in layers])
        # Giving all back after each chunk costs more than the chunk.
        if mx.get_cache_memory() > MAX_CACHE_BYTES:
            mx.clear_cache()
