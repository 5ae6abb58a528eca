"""mlx-lm's continuous batching, with one computation per step for what it does row by row.

It has a sampler per row, and calls each alone unless all are the same object; rows that read their last token wait
for the device each for itself; and it computes every row's log-probabilities. Here the rows are sampled and masked at
once, and only wanted log-probabilities are computed. It replaces GenerationBatch._step of mlx-lm 0.32, and keeps that
one's attributes as it keeps them.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.generate import BatchGenerator, GenerationBatch

from workers.runners.constraint import JsonConstraint, apply_mask, start
from workers.runners.penalties import LogitsProcessor
from workers.runners.rounded_prompts import RoundedPrompts
from workers.runners.sampling import choose


class GroupedGenerator(BatchGenerator):
    """A BatchGenerator whose rows' samplers are all workers.runners.sampling.Sampler objects."""

    def __init__(self, model: Any, *, rounds_prompts: bool = False, **options: Any) -> None:
        precise: Any = Float32Logits(model)
        super().__init__(precise, **options)
        self._rows = GroupedBatch.empty(self.model, self.sampler)
        self._rows.reported = set()
        self._generation_batch = self._rows
        if rounds_prompts:
            self._prompt_batch = RoundedPrompts.empty(self.model, self.sampler, self.prefill_step_size)

    def report_logprobs(self, uid: int) -> None:
        """From the row's second token on; the first one's are always there."""
        self._rows.reported.add(uid)

    def remove(self, uids: Any, return_prompt_caches: bool = False) -> Any:
        self.forget(uids)
        return super().remove(uids, return_prompt_caches)

    def forget(self, uids: Iterable[int]) -> None:
        """These rows have ended."""
        self._rows.reported.difference_update(uids)


class Float32Logits:
    """A model whose logits are float32: in bfloat16, taking the norm off them makes equals of different tokens."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self, *inputs: Any, **options: Any) -> mx.array:
        return self._model(*inputs, **options).astype(mx.float32)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class GroupedBatch(GenerationBatch):
    """reported: uids of the rows whose log-probabilities are wanted. Those of the others are not computed: on a CPU
    that would take as long as the rest of a small model's step.
    """

    reported: set[int]

    def _step(self) -> tuple[list[int], list[Any]]:
        """As the base's: start on the next tokens, then wait for those of the step before and return them."""
        inputs: Any = self._next_tokens
        self._current_tokens, self._current_logprobs = inputs, self._next_logprobs
        logits = self.model(inputs[:, None], cache=self.prompt_cache)[:, -1, :]
        logits, contexts = self._processed(inputs, logits)
        samplers: Any = self.samplers
        self._next_tokens = choose(logits, samplers)
        self._next_logprobs = self._reported(logits)
        mx.async_eval(self._next_tokens, _arrays(self._next_logprobs), contexts)
        mx.eval(inputs, _arrays(self._current_logprobs))
        tokens: Any = inputs.tolist()
        for held, token in zip(self.tokens, tokens, strict=True):
            held.append(token)
        return tokens, self._current_logprobs

    def _processed(self, inputs: mx.array, logits: mx.array) -> tuple[mx.array, list[mx.array]]:
        """The logits after each row's processors, and the contexts (prompt and answer) that those have read."""
        contexts: list[mx.array] = []
        rows: list[mx.array] = []
        processors: Any = self.logits_processors
        if not any(processors):
            return logits, contexts
        for n, own in enumerate(_masked_together(processors, inputs)):
            row = logits[n : n + 1]
            if own:
                contexts.append(self._token_context[n].update_and_fetch(inputs[n : n + 1]))
                for process in own:
                    row = process(contexts[-1], row)
            rows.append(row)
        return mx.concatenate(rows), contexts

    def _reported(self, logits: mx.array) -> list[mx.array | None]:
        found: list[mx.array | None] = [None] * len(self.uids)
        for n, uid in enumerate(self.uids):
            if uid in self.reported:
                found[n] = logits[n] - mx.logsumexp(logits[n])
        return found


def _arrays(found: Sequence[mx.array | None]) -> list[mx.array]:
    return [each for each in found if each is not None]


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
