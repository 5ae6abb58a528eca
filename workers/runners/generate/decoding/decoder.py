"""Continuous batching of text models, on mlx-lm's BatchGenerator: insert, step, remove."""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx_lm.generate import StopSequences
from mlx_lm.models.cache import make_prompt_cache

from jobs.errors import JobError
from workers.runners.generate.answer import Answer
from workers.runners.generate.contract import NewToken
from workers.runners.generate.decoding.batched_sampling import BatchSamplingGenerator, check_numbers
from workers.runners.generate.decoding.prefix_cache import Hit, Layers, PrefixCache
from workers.runners.generate.decoding.prompt_scores import max_scored_tokens
from workers.runners.generate.decoding.sampling import LogitsProcessor, Sampler, ends_of
from workers.runners.generate.decoding.speculation import check_draft
from workers.runners.generate.output.prompt_logprobs import PromptScores
from workers.runners.generate.structured_output.constraint import GrammarConstraint
from workers.scheduling.batch_shapes import plans_per_shape
from workers.scheduling.cost_model import CostModel

MAX_PREFILL_TOKENS = 2048
"""Prompt tokens of one row in one step, where no running answer waits (mlx-lm's own default)."""

PREFILL_ROWS, GPU_PREFILL_ROWS = 8, 16
"""Prompts computed side by side. A GPU takes longer to start than to compute a few short ones."""

PREFILL_SHARE = 0.9
"""Share of the time between two tokens that prompts may take. The rest is for wrong estimates and a batch after it."""

MIN_PREFILL_TOKENS = 16
"""Smaller chunks cost more time than they save running answers."""

STORED_FROM = 256
"""A prompt's state is kept before its answer ends from so many newly computed tokens on: taking it out of the batch
costs a GPU a millisecond or two.
"""

EXPLORES = 8
"""While all prompt steps were of one size, each eighth is twice as large, so that a step's fixed cost is measured."""


SamplerAndProcessors = tuple[Sampler, Sequence[LogitsProcessor]]
"""An answer's sampler and its logits processors."""


class TextDecoder:
    """The answers that one model writes at the same time. Belongs to the thread that owns the device."""

    def __init__(
        self,
        model: nn.Module,
        end_ids: Iterable[int],
        sampler_and_processors: Callable[[Answer], SamplerAndProcessors],
        *,
        slots: int,
        prefix_cache_bytes: int,
        pads_prompts: bool = True,
        draft: nn.Module | None = None,
    ) -> None:
        """pads_prompts: False for a model that must not see padding behind a prompt; prompts then go one by one.

        draft: a smaller model of the same tokenizer, which makes an answer that is alone faster
        (workers.runners.generate.decoding.speculation). Raises InvalidInput where the two do not go together.
        """
        if draft is not None:
            check_draft(model, draft)
        self._model = model
        self._draft = draft
        self._pads_prompts = pads_prompts
        self._end_ids = [(token,) for token in sorted(end_ids)]
        self._sampler_and_processors = sampler_and_processors
        self._slots = slots
        self._prefixes = PrefixCache(prefix_cache_bytes)
        self._answers: dict[int, Answer] = {}
        self._prompt_left: dict[int, int] = {}
        self._first: set[int] = set()  # answers that wait for their first token
        self._scores: dict[int, PromptScores] = {}  # of those of them whose prompts are scored
        self._failures: dict[int, Callable[[], JobError | None]] = {}
        # The further into a prompt, the dearer its tokens; and those that are scored are dearer.
        self._prefills = {scored: CostModel(fade=0.8) for scored in (False, True)}
        self._max_scored = 0  # tokens in a step; not known before the first
        self._decode = CostModel()
        self._alike = 0
        self._rounds_shapes = pads_prompts and plans_per_shape()
        self._generator = self._new_generator()

    def __len__(self) -> int:
        """Answers inserted and not ended."""
        return len(self._answers)

    @property
    def running(self) -> int:
        """Answers that get a token in each step."""
        return len(self._answers) - len(self._prompt_left)

    def insert(self, answer: Answer) -> int:
        """Begin an answer; its first token comes when its prompt has been computed. Returns its uid."""
        hit = None if answer.wants_scores else self._prefixes.find(answer.ids)
        answer.cached_tokens = min(hit.tokens if hit else 0, answer.prompt_tokens)
        return self._begin(answer, hit)

    def join(self, answer: Answer, layers: Layers) -> int:
        """Begin an answer whose ids, but for the last, have been computed elsewhere: `layers` hold them."""
        return self._begin(answer, Hit(layers, len(answer.ids) - 1))

    def _begin(self, answer: Answer, hit: Hit | None) -> int:
        known = hit.tokens if hit else 0
        rest = answer.ids[known:]
        sampler, processors = self._sampler_and_processors(answer)
        self._generator.turn_to(scored=answer.wants_scores)
        (uid,) = self._generator.insert_segments(
            [[rest[:-1], rest[-1:]]],
            max_tokens=[max(1, answer.max_tokens)],  # it computes no prompt without a token after it
            caches=[hit.layers] if hit else None,
            all_tokens=[answer.ids[:known]],
            samplers=[sampler],
            logits_processors=[list(processors)],
            stop_sequences=self._ends_of(answer),
        )
        if answer.job.logprobs is not None:
            self._generator.report_logprobs(uid)
        if answer.wants_scores:
            self._scores[uid] = scores = PromptScores(
                answer.ids[: answer.prompt_tokens], answer.job.prompt_logprobs or 0
            )
            self._generator.score_prompt(uid, scores)
        self._failures[uid] = partial(_failure, processors)
        self._answers[uid] = answer
        self._prompt_left[uid] = len(rest)
        self._first.add(uid)
        return uid

    def _ends_of(self, answer: Answer) -> list[StopSequences] | None:
        """None for the model's own."""
        sampling = answer.job.sampling
        if not (sampling.ignore_ends or sampling.stop_ids):
            return None
        ends = ends_of(sampling, (token for (token,) in self._end_ids))
        return [StopSequences([(token,) for token in sorted(ends)])]

    def remove(self, uids: Iterable[int]) -> None:
        """End answers early; unknown uids (they ended by themselves) are left alone."""
        gone = [uid for uid in uids if uid in self._answers]
        if gone:
            self._generator.remove(gone)
        for uid in gone:
            self._forget(uid)

    def step(self, seconds: float) -> list[NewToken]:
        """One token for each running answer, and as much of the waiting prompts as is likely to fit into the time.

        With a draft, an answer that is alone may get several tokens, in order; the last one may be its end.
        Whatever the model, a sampler or a logits processor raises, is raised; `restart` then brings the decoder into
        a sound state.
        """
        self._generator.next_turn()
        self._generator.prefill_batch_size = self._rows()
        self._generator.prefill_step_size = self._bearable(self._chunk(seconds))
        left, started = sum(self._prompt_left.values()), time.perf_counter()
        prompts, tokens = self._generator.next()
        took_s = time.perf_counter() - started
        for prompt in prompts:
            self._follow_prompt(prompt)
        if not self._generator.drafted:
            self._learn(len(tokens), left - sum(self._prompt_left.values()), took_s)
        return [self._new_token(each) for each in tokens]

    def step_s(self) -> float:
        """Seconds that a step without prompts is likely to take."""
        return self._decode.predict(max(1, self.running))

    def restart(self) -> None:
        """Forget all answers."""
        self._answers.clear()
        self._prompt_left.clear()
        self._first.clear()
        self._scores.clear()
        self._failures.clear()
        self._generator.close()
        self._generator = self._new_generator()

    def _new_generator(self) -> BatchSamplingGenerator:
        # On the default stream, as all other work: a CPU's streams would compete for its cores.
        return BatchSamplingGenerator(
            self._model,
            stop_tokens=self._end_ids,
            completion_batch_size=self._slots,
            prefill_batch_size=min(PREFILL_ROWS, self._slots),
            pads_prefill=self._rounds_shapes,
            draft=self._draft,
            stream=mx.default_stream(mx.default_device()),
        )

    def _rows(self) -> int:
        """Prompts side by side in this step; on a device that plans for each shape, a power of two."""
        if not self._pads_prompts:
            return 1
        if not self._rounds_shapes:
            return PREFILL_ROWS
        waiting = min(GPU_PREFILL_ROWS, max(1, self._generator.prompts_waiting))
        return 1 << waiting.bit_length() - 1

    def _chunk(self, seconds: float) -> int:
        """Prompt tokens per row for this step."""
        if not self.running:
            return MAX_PREFILL_TOKENS
        cost = self._prefills[self._generator.scores_now]
        fitting = max(cost.tokens_within(PREFILL_SHARE * seconds - self.step_s()), cost.free_tokens())
        if cost.is_one_sided:
            self._alike += 1
            fitting *= 1 + (self._alike % EXPLORES == 0)
        return min(MAX_PREFILL_TOKENS, max(MIN_PREFILL_TOKENS, fitting // self._rows_now()))

    def _rows_now(self) -> int:
        return max(1, min(self._rows(), self._generator.prompts_waiting))

    def _bearable(self, chunk: int) -> int:
        """The chunk, smaller where logits of all its tokens are looked at."""
        if not self._generator.scores_now:
            return chunk
        if not self._max_scored:
            described = self._model(mx.array([[0]]), cache=make_prompt_cache(self._model))  # never evaluated
            self._max_scored = max_scored_tokens(described.shape[-1])
        return max(1, min(chunk, self._max_scored // self._rows_now()))

    def _learn(self, rows: int, prompt_tokens: int, seconds: float) -> None:
        if prompt_tokens:
            cost = self._prefills[self._generator.scores_now]
            cost.observe(prompt_tokens, max(0.0, seconds - self._decode.predict(rows) * bool(rows)))
        elif rows:
            self._decode.observe(rows, seconds)

    def _follow_prompt(self, prompt: Any) -> None:
        done, total = prompt.progress
        if prompt.end_of_prompt:
            del self._prompt_left[prompt.uid]
            self._generator.end_prompt(prompt.uid)
            return
        self._prompt_left[prompt.uid] = total - done
        if prompt.end_of_segment and total >= STORED_FROM and _stores(self._answers[prompt.uid]):
            layers, ids = self._generator.extract_cache([prompt.uid])[prompt.uid]
            self._prefixes.store(ids, layers)

    def _new_token(self, found: Any) -> NewToken:
        answer = self._answers[found.uid]
        if found.uid in self._first:  # mlx-lm computes it by itself, with all log-probabilities
            self._first.remove(found.uid)
            if (scores := self._scores.pop(found.uid, None)) is not None:
                answer.prompt_scores = scores
            check_numbers(found.logprobs[found.token][None])
        logprobs = None
        if answer.job.logprobs is not None:
            logprobs = np.array(found.logprobs.astype(mx.float32))
        if found.finish_reason is not None:
            if _stores(answer):
                self._prefixes.store(found.all_tokens, found.prompt_cache)
            answer.failure = self._failures.pop(found.uid)()
            self._generator.forget([found.uid])
            self._forget(found.uid)
        return NewToken(found.uid, found.token, found.finish_reason, logprobs)

    def _forget(self, uid: int) -> None:
        del self._answers[uid]
        self._prompt_left.pop(uid, None)
        self._first.discard(uid)
        self._scores.pop(uid, None)
        self._failures.pop(uid, None)


def _stores(answer: Answer) -> bool:
    """Whether its state is for others to go on from. Ids do not tell one image from another; and prompts that are
    scored take no state, so many of them would drive out those that chats go on from.
    """
    return answer.image_inputs is None and answer.job.prompt_logprobs is None


def _failure(processors: Sequence[LogitsProcessor]) -> JobError | None:
    """What kept a constraint from being followed to the end."""
    failures = [each.failure for each in processors if isinstance(each, GrammarConstraint)]
    return next((failure for failure in failures if failure), None)
