"""mlx-lm's continuous batching, with one computation per step for what it does row by row.

It has a sampler per row, and calls each alone unless all are the same object; rows that read their last token wait
for the device each for itself. Both are done for all rows at once here. It rests on GenerationBatch._step of
mlx-lm 0.32 calling, with each row's processors applied, a sampler that all rows share on (rows, vocabulary).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.generate import BatchGenerator, GenerationBatch

from workers.runners.constraint import JsonConstraint, apply_mask, start
from workers.runners.penalties import LogitsProcessor
from workers.runners.rounded_prompts import RoundedPrompts
from workers.runners.sampling import Sampler, choose


class GroupedGenerator(BatchGenerator):
    """A BatchGenerator whose rows' samplers are all workers.runners.sampling.Sampler objects."""

    def __init__(self, model: Any, *, rounds_prompts: bool = False, **options: Any) -> None:
        precise: Any = Float32Logits(model)
        super().__init__(precise, **options)
        self._generation_batch = GroupedBatch.empty(self.model, self.sampler)
        if rounds_prompts:
            self._prompt_batch = RoundedPrompts.empty(self.model, self.sampler, self.prefill_step_size)


class Float32Logits:
    """A model whose logits are float32: in bfloat16, taking the norm off them makes equals of different tokens."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self, *inputs: Any, **options: Any) -> mx.array:
        return self._model(*inputs, **options).astype(mx.float32)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class GroupedBatch(GenerationBatch):
    def _step(self) -> tuple[list[int], list[mx.array]]:
        samplers, processors = self.samplers, self.logits_processors
        self.samplers = [partial(_choose, samplers)] * len(self.uids)
        self.logits_processors = _masked_together(processors or [], self._next_tokens)
        try:
            return super()._step()
        finally:
            self.samplers, self.logits_processors = samplers, processors


def _choose(samplers: Sequence[Sampler], logprobs: mx.array) -> mx.array:
    return choose(logprobs, samplers)


def _masked_together(
    processors: Sequence[Sequence[LogitsProcessor]], last: mx.array | None
) -> list[list[LogitsProcessor]]:
    """The rows' processors, with what the constraints among them do put together. last: token of each row, (rows,)."""
    constraints = {
        row: processor
        for row, own in enumerate(processors)
        for processor in own
        if isinstance(processor, JsonConstraint)
    }
    masks = StepMasks(constraints, last)
    return [
        [partial(masks.apply, row) if processor is constraints.get(row) else processor for processor in own]
        for row, own in enumerate(processors)
    ]


class StepMasks:
    """What the constraints of a batch's rows allow at one step: worked out at the first use, for all rows."""

    def __init__(self, constraints: dict[int, JsonConstraint], last: Any) -> None:
        self._constraints = constraints
        self._last = last
        self._masks: dict[int, mx.array] = {}

    def apply(self, row: int, _: mx.array, logits: mx.array) -> mx.array:
        """logits (1, vocabulary) of the row, masked."""
        if not self._masks:
            start(self._last, logits)
            tokens = self._last.tolist()
            words = np.stack([self._mask(i, tokens, logits.shape[-1]) for i in self._constraints])
            self._masks = dict(zip(self._constraints, mx.array(words)[:, None], strict=True))
        return apply_mask(logits, self._masks[row])

    def _mask(self, row: int, tokens: Any, vocab_size: int) -> Any:
        self._constraints[row].follow(tokens[row])
        return self._constraints[row].mask(vocab_size)
