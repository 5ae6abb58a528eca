"""mlx-lm's continuous batching, with one computation per step for what it does row by row.

mlx-lm calls each row's sampler by itself unless all are the same object. Each row waits for the device to read its own
last token. The log-probabilities of every row are computed. Here the rows are sampled and masked together, and only
the log-probabilities that somebody wants are computed. SamplingBatch replaces GenerationBatch._step of mlx-lm 0.32, and
keeps that class's attributes as it keeps them.

A row that is alone may get several tokens in one step while no prompt waits (`speculation.py`). Between steps its state
is the same as without speculation, so other rows can join at any time.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.generate import BatchGenerator, GenerationBatch
from mlx_lm.models.cache import trim_prompt_cache

from workers.runners.generate.decoding.padded_prefill import PaddedPrefill
from workers.runners.generate.decoding.prompt_scores import ScoringPrefill
from workers.runners.generate.decoding.sampling import LogitsProcessor, sample
from workers.runners.generate.decoding.speculation import Proposal, Speculation, vocab_size_of
from workers.runners.generate.output.prompt_logprobs import PromptScores
from workers.runners.generate.structured_output.constraint import GrammarConstraint, apply_mask, start
from workers.runners.tokens.common_prefix import common_prefix_length


class BatchSamplingGenerator(BatchGenerator):
    """A BatchGenerator whose rows all have samplers.Sampler objects. Belongs to the device's thread."""

    def __init__(self, model: Any, *, pads_prefill: bool = False, draft: Any = None, **options: Any) -> None:
        """draft: a model that proposes tokens to a row that is alone; see check_draft for which can."""
        precise: Any = Float32Logits(model)
        super().__init__(precise, **options)
        self._rows = SamplingBatch.empty(self.model, self.sampler)
        self._rows.reported = set()
        self._generation_batch = self._rows
        self._old_wired_limit = None  # the limit is the process's: other models go on when this one is closed
        if draft is not None:
            self._rows.speculation = Speculation(draft, vocab_size_of(model))
        prefill = PaddedPrefill if pads_prefill else ScoringPrefill
        plain, scored = (prefill.empty(self.model, self.sampler, self.prefill_step_size) for _ in range(2))
        self._scores: dict[int, PromptScores] = {}
        plain.scored = scored.scored = self._scores
        self._prompt_batch = plain
        self.scores_now = False
        """Whether it is the turn of the prompts that are scored: they are computed without the others."""
        self._other_prompts: tuple[Any, Any, Any] = (deque(), scored, [])

    @property
    def drafted(self) -> bool:
        """Whether the latest step made the draft work: it then took another time than steps of one token do."""
        return self._rows.speculation is not None and self._rows.speculation.drafted

    def report_logprobs(self, uid: int) -> None:
        """From the row's second token on; the first one's are always there."""
        self._rows.reported.add(uid)

    def score_prompt(self, uid: int, scores: PromptScores) -> None:
        """Fill these with the prompt's log-probabilities as it is computed: all of it, without what a cache holds."""
        self._scores[uid] = scores

    @property
    def prompts_waiting(self) -> int:
        """Prompts whose turn it is."""
        return len(self._unprocessed_sequences) + len(self._prompt_batch)

    def turn_to(self, *, scored: bool) -> None:
        """Prompts that are inserted now are scored, or not. Those inserted before keep their place."""
        if scored != self.scores_now:
            self._turn()

    def next_turn(self) -> None:
        """Plain and scored prompts are computed in turns, where both wait."""
        waiting, batch, _ = self._other_prompts
        if len(waiting) + len(batch):
            self._turn()

    def _turn(self) -> None:
        own = (self._unprocessed_sequences, self._prompt_batch, self._currently_processing)
        self._unprocessed_sequences, self._prompt_batch, self._currently_processing = self._other_prompts
        self._other_prompts = own
        self.scores_now = not self.scores_now

    def end_prompt(self, uid: int) -> None:
        """The prompt has been computed."""
        self._scores.pop(uid, None)

    def remove(self, uids: Any, return_prompt_caches: bool = False) -> Any:
        self.forget(uids)
        found: dict[int, Any] = {}
        for _ in range(2):
            found |= super().remove(uids, return_prompt_caches)
            self._turn()
        return found

    def forget(self, uids: Iterable[int]) -> None:
        """These rows have ended."""
        self._rows.reported.difference_update(uids)
        for uid in uids:
            self.end_prompt(uid)

    def _next(self) -> Any:
        waiting, batch, _ = self._other_prompts
        self._rows.prompts_wait = bool(self.prompts_waiting or len(waiting) + len(batch))
        if self._rows.speculation is not None:
            self._rows.speculation.drafted = False
        return super()._next()


class Float32Logits:
    """A model whose logits are float32: in bfloat16, subtracting their norm makes different tokens equal."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self, *inputs: Any, **options: Any) -> mx.array:
        return self._model(*inputs, **options).astype(mx.float32)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class SamplingBatch(GenerationBatch):
    """The rows of the decode batch, sampled together. Belongs to the thread that owns the device.

    A row whose answer a GrammarConstraint holds gets no proposals: the grammar's state cannot be taken back.
    """

    reported: set[int]
    """Uids of the rows whose log-probabilities are wanted. Those of the others are not computed: on a CPU that would
    take as long as the rest of a small model's step.
    """
    speculation: Speculation | None = None
    prompts_wait = False
    """Whether there will soon be more rows."""
    next_scores: mx.array | None = None
    """The logits of the tokens chosen last, not looked at yet."""

    def next(self) -> list[Any]:
        """As the base's: the next token of each row, or several of a single one, in order; none after its end."""
        proposal = self._proposal()
        return super().next() if proposal is None else self._verified(proposal)

    def _proposal(self) -> Proposal | None:
        rows: Any = self
        if self.speculation is None or len(self.uids) != 1 or self.prompts_wait:
            return None
        if any(isinstance(each, GrammarConstraint) for each in rows.logits_processors[0] or ()):
            return None
        room = self.max_tokens[0] - self._num_tokens[0] - 1
        return self.speculation.propose(self.tokens[0], rows._next_tokens, room, rows.samplers[0])

    def _verified(self, proposal: Proposal) -> list[Any]:
        """The token chosen last and the proposals after it that are right. What is chosen after those comes next."""
        row: Any = self
        assert self.speculation is not None
        inputs = mx.concatenate([row._next_tokens, proposal.tokens])
        computed = self.model(inputs[None], cache=self.prompt_cache)[0]
        logits = self._processed_ahead(inputs, computed)
        chosen = sample(logits, proposal.draws)
        scores = mx.concatenate([_scores_of(chosen, computed), *_arrays([self.next_scores])])
        self.next_scores = None
        logprobs = [*row._next_logprobs, *self._reported_ahead(logits)]
        mx.eval(inputs, chosen, scores, _arrays(logprobs))
        check_numbers(scores)
        tokens: Any = inputs.tolist()
        wanted: Any = chosen.tolist()
        right = common_prefix_length(tokens[1:], wanted)
        self.speculation.learn(len(tokens) - 1, right)
        accepted, finish = self._until_end(tokens[: right + 1])
        self._settle(len(accepted), inputs, chosen, logprobs)
        self.tokens[0] += accepted
        return self._responses(accepted, logprobs, finish)

    def _until_end(self, tokens: list[int]) -> tuple[list[int], str | None]:
        """As many of the single row's next tokens as its answer has room for, and why it ends with the last one."""
        for count, token in enumerate(tokens, 1):
            self._num_tokens[0] += 1
            if self._matchers[0].advance(token):
                return tokens[:count], "stop"
            if self._num_tokens[0] >= self.max_tokens[0]:
                return tokens[:count], "length"
        return tokens, None

    def _settle(
        self, count: int, inputs: mx.array, chosen: mx.array, logprobs: list[mx.array | None]
    ) -> None:
        """Leave the single row as it is after `count` steps of one token: the first so many of `inputs`."""
        row: Any = self
        trim_prompt_cache(self.prompt_cache, len(inputs) - count)
        for _ in range(count):
            row.samplers[0].key()  # these draws have been used
        if row.logits_processors[0]:
            self._token_context[0].update_and_fetch(inputs[:count])
        row._current_tokens, row._current_logprobs = inputs[count - 1 : count], logprobs[count - 1 : count]
        row._next_tokens, row._next_logprobs = chosen[count - 1 : count], logprobs[count : count + 1]

    def _responses(
        self, accepted: list[int], logprobs: list[mx.array | None], finish: str | None
    ) -> list[Any]:
        """Of the single row. It leaves the batch if this is its end."""
        uid = self.uids[0]
        found: list[Any] = [
            self.Response(uid, token, logprob, None, None, None)  # pyright: ignore[reportArgumentType]
            for token, logprob in zip(accepted, logprobs, strict=False)
        ]
        if finish is not None:
            found[-1] = replace(
                found[-1],
                finish_reason=finish,
                prompt_cache=self.extract_cache(0),
                all_tokens=self.tokens[0],
            )
            self.filter([])
        return found

    def _step(self) -> tuple[list[int], list[Any]]:
        """As the base's: start on the next tokens, then wait for those of the step before and return them."""
        inputs: Any = self._next_tokens
        self._current_tokens, self._current_logprobs = inputs, self._next_logprobs
        computed = self.model(inputs[:, None], cache=self.prompt_cache)[:, -1, :]
        logits, contexts = self._processed(inputs, computed)
        samplers: Any = self.samplers
        self._next_tokens = sample(logits, samplers)
        self._next_logprobs = self._reported(logits)
        scores, self.next_scores = self.next_scores, _scores_of(self._next_tokens, computed)
        mx.async_eval(self._next_tokens, self.next_scores, _arrays(self._next_logprobs), contexts)
        mx.eval(inputs, scores, _arrays(self._current_logprobs))
        check_numbers(scores)
        tokens: Any = inputs.tolist()
        for row_tokens, token in zip(self.tokens, tokens, strict=True):
            row_tokens.append(token)
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

    def _processed_ahead(self, inputs: mx.array, logits: mx.array) -> mx.array:
        """The logits (tokens, vocabulary) after the single row's processors, each position with its context."""
        row: Any = self
        processors: Sequence[LogitsProcessor] = row.logits_processors[0]
        if not processors:
            return logits
        known: mx.array = self._token_context[0].tokens
        context = mx.concatenate([known, inputs.astype(known.dtype)])
        positions: list[mx.array] = []
        for n in range(len(inputs)):
            position = logits[n : n + 1]
            for process in processors:
                position = process(context[: known.size + n + 1], position)
            positions.append(position)
        return mx.concatenate(positions)

    def _reported(self, logits: mx.array) -> list[mx.array | None]:
        found: list[mx.array | None] = [None] * len(self.uids)
        for n, uid in enumerate(self.uids):
            if uid in self.reported:
                found[n] = logits[n] - mx.logsumexp(logits[n])
        return found

    def _reported_ahead(self, logits: mx.array) -> list[mx.array | None]:
        """Of each position of the single row."""
        if self.uids[0] not in self.reported:
            return [None] * len(logits)
        return list(logits - mx.logsumexp(logits, axis=-1, keepdims=True))


def _scores_of(tokens: mx.array, logits: mx.array) -> mx.array:
    """The logits (rows,) of the chosen tokens, as computed. NaN spreads over a whole row, so one of it will do."""
    return mx.take_along_axis(logits, tokens[:, None], axis=1)[:, 0]


def check_numbers(scores: mx.array | None) -> None:
    """Raises FloatingPointError: the worker then finds the answer at fault. scores: (rows,)."""
    if scores is not None and not np.isfinite(np.array(scores)).all():
        raise FloatingPointError("the model computed logits that are not numbers")


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
        if isinstance(processor, GrammarConstraint)
    }
    masks = StepMasks(constraints, last)
    return [
        [partial(masks.apply, row) if processor is constraints.get(row) else processor for processor in own]
        for row, own in enumerate(processors)
    ]


class StepMasks:
    """What the constraints of a batch's rows allow at one step: computed at the first use, for all rows."""

    def __init__(self, constraints: dict[int, GrammarConstraint], last: Any) -> None:
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
