"""How an answer gets its next token from the model's logits: bias and penalties first, then a draw."""

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import blake2b

import mlx.core as mx
import numpy as np

from jobs.errors import InvalidInput
from jobs.generate import Sampling

# Below this a temperature only ever picks the most probable token, and dividing by it may overflow (as in vLLM).
LEAST_TEMPERATURE = 1e-5
# Keeps the noise finite: a token that is ruled out must not win because the only one left drew the number 0.
LEAST_UNIFORM = 1e-10

# (prompt and generated tokens (tokens,), logits (1, vocabulary)) to logits: mlx-lm's interface, once per step and row.
LogitsProcessor = Callable[[mx.array, mx.array], mx.array]

# Below this a repetition penalty only ever picks tokens that came before, and dividing by it may overflow.
LEAST_REPETITION_PENALTY = 1e-6


@dataclass(frozen=True, slots=True)
class SamplerParams:
    """Which tokens may be drawn, and how evenly."""

    temperature: float
    """0 takes the most probable token."""
    top_p: float = 1.0
    top_k: int = 0
    """0 for all."""
    min_p: float = 0.0

    @property
    def greedy(self) -> bool:
        return self.temperature == 0

    def needs_order(self, vocab_size: int) -> bool:
        """Whether the tokens must be put in order to find those that may be drawn."""
        return not self.greedy and (0 < self.top_k < vocab_size or self.top_p < 1)


GREEDY = SamplerParams(temperature=0.0)


class Sampler:
    """Draws with fresh randomness for each row and step, so any rows of any requests may share one."""

    def __init__(self, params: SamplerParams) -> None:
        self.params = params

    def key(self) -> bytes:
        """8 bytes: the key of MLX's random numbers for the next token of one row."""
        return os.urandom(8)

    def __call__(self, logprobs: mx.array) -> mx.array:
        """Token ids (rows,) for log-probabilities, or logits, (rows, vocabulary)."""
        return sample(logprobs, [self] * logprobs.shape[0])


class SeededSampler(Sampler):
    """Draws for one answer: its token i depends on the seed, the choice and i, not on neighbours or batches."""

    def __init__(self, params: SamplerParams, seed: int, choice: int = 0, skipped: int = 0) -> None:
        """choice: which of a request's n answers. skipped: how many of its tokens an earlier execution generated."""
        super().__init__(params)
        self._stream = f"{seed}/{choice}"
        self._step = skipped

    def key(self) -> bytes:
        key = blake2b(f"{self._stream}/{self._step}".encode(), digest_size=8).digest()
        self._step += 1
        return key


def sampler_for(sampling: Sampling, choice: int = 0, skipped: int = 0) -> Sampler:
    """The sampler of one answer: mlx-lm's interface, log-probabilities (rows, vocabulary) to token ids (rows,).

    Order: temperature, min_p, top_k, top_p (of what top_k left), draw. That is vLLM's, which most values of clients
    and of generation_config.json are meant for. mlx-lm's make_sampler cuts first and applies the temperature to what
    is left: there a temperature of 2 leaves the nucleus as small as it was, and one of 0.2 as large.
    Equal parameters without a seed give the same object. top_k 1 and top_p 0 are greedy.
    """
    greedy = sampling.temperature < LEAST_TEMPERATURE or sampling.top_k == 1 or sampling.top_p <= 0
    params = (
        GREEDY
        if greedy
        else SamplerParams(sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p)
    )
    if sampling.seed is None or greedy:
        return _shared(params)
    return SeededSampler(params, sampling.seed, choice, skipped)


@lru_cache(maxsize=1024)
def _shared(params: SamplerParams) -> Sampler:
    return Sampler(params)


def sample(logprobs: mx.array, samplers: Sequence[Sampler]) -> mx.array:
    """The next token of each row, (rows,): one computation for rows of different parameters and seeds.

    logprobs: (rows, vocabulary), of any scale: a constant added to a row changes nothing. samplers: one per row.
    """
    all_params = [sampler.params for sampler in samplers]
    if all(each.greedy for each in all_params):
        return mx.argmax(logprobs, axis=-1)
    scores = logprobs.astype(mx.float32) / _column([each.temperature or 1.0 for each in all_params])
    scores = _filtered(scores, all_params)
    keys = np.frombuffer(b"".join(sampler.key() for sampler in samplers), np.uint32).reshape(-1, 2)
    noise = mx.vmap(partial(_gumbel, scores.shape[-1]))(mx.array(keys))
    if any(each.greedy for each in all_params):
        noise = mx.where(_column([each.temperature for each in all_params]) == 0, 0.0, noise)
    return mx.argmax(scores + noise, axis=-1)


def _gumbel(size: int, key: mx.array) -> mx.array:
    """Noise (size,) with which the largest sum is a draw by the probabilities (the Gumbel-max trick)."""
    return -mx.log(-mx.log(mx.random.uniform(LEAST_UNIFORM, 1.0, (size,), key=key)))


def _filtered(scores: mx.array, all_params: Sequence[SamplerParams]) -> mx.array:
    """scores (rows, vocabulary) with -inf for each token that its row's parameters leave out."""
    floors = [math.log(each.min_p) if each.min_p > 0 else -math.inf for each in all_params]
    if max(floors) > -math.inf:
        scores = mx.where(scores < scores.max(axis=-1, keepdims=True) + _column(floors), -mx.inf, scores)
    rows = [row for row, each in enumerate(all_params) if each.needs_order(scores.shape[-1])]
    if not rows:
        return scores
    least = mx.full((len(all_params), 1), -mx.inf)
    least[mx.array(rows)] = _least(scores[mx.array(rows)], [all_params[row] for row in rows])
    return mx.where(scores < least, -mx.inf, scores)


def _least(scores: mx.array, all_params: Sequence[SamplerParams]) -> mx.array:
    """The lowest score (rows, 1) that top_k and top_p leave; equal scores stay together, as in vLLM."""
    size = scores.shape[-1]
    kept = [each.top_k if 0 < each.top_k < size else size for each in all_params]
    width = max(kept)
    if width < size:
        scores = mx.partition(scores, size - width, axis=-1)[:, size - width :]
    rising = mx.sort(scores, axis=-1)
    first = mx.array([[width - count] for count in kept])  # index of the lowest score that top_k leaves
    weights = mx.where(mx.arange(width) < first, 0.0, mx.exp(rising - rising[:, -1:]))
    above = mx.cumsum(weights, axis=-1, reverse=True, inclusive=False)
    share = _column([each.top_p if each.top_p < 1 else math.inf for each in all_params])
    dropped = (above >= share * weights.sum(axis=-1, keepdims=True)).sum(axis=-1, keepdims=True)
    return mx.take_along_axis(rising, mx.minimum(mx.maximum(first, dropped), width - 1), axis=-1)


def _column(values: Sequence[float]) -> mx.array:
    return mx.array([[value] for value in values], dtype=mx.float32)


def ends_of(sampling: Sampling, model_ends: Iterable[int]) -> set[int]:
    """The tokens that end an answer. model_ends: the model's own."""
    return {*sampling.stop_ids, *(() if sampling.ignore_ends else model_ends)}


def processors_for(
    sampling: Sampling, prompt_tokens: int, model_ends: Iterable[int] = ()
) -> list[LogitsProcessor]:
    """The processors of one answer, none where nothing is asked; logits come out as float32, the ones given are kept.

    prompt_tokens: how many of the tokens they will be given are the prompt's (a cached prefix included: mlx-lm's
    `all_tokens` must hold it). model_ends: tokens that end the model's answers. Repetition counts prompt and answer (as
    Hugging Face and vLLM do), presence and frequency the answer alone (OpenAI's definition); mlx-lm's own count the
    prompt for all three. Order: what rules tokens out, bias, repetition, frequency, presence, as in vLLM.
    """
    processors: list[LogitsProcessor] = []
    if sampling.allowed_ids:
        processors.append(partial(_allow_only, mx.array([*sampling.allowed_ids])))
    if sampling.min_tokens and (ends := {*model_ends, *sampling.stop_ids}):
        begun = prompt_tokens + sampling.min_tokens
        processors.append(partial(_forbid_before, begun, mx.array(sorted(ends))))
    if sampling.logit_bias:
        ids, values = mx.array([*sampling.logit_bias]), mx.array([*sampling.logit_bias.values()], mx.float32)
        processors.append(partial(_add_bias, ids, values))
    if sampling.repetition_penalty != 1:
        penalty = max(sampling.repetition_penalty, LEAST_REPETITION_PENALTY)
        processors.append(partial(_penalise_repetition, penalty, sampling.repetition_context))
    if sampling.frequency_penalty:
        processors.append(
            partial(
                _penalise_frequency, sampling.frequency_penalty, sampling.frequency_context, prompt_tokens
            )
        )
    if sampling.presence_penalty:
        processors.append(
            partial(_penalise_presence, sampling.presence_penalty, sampling.presence_context, prompt_tokens)
        )
    return processors


def check_sampling(sampling: Sampling, vocab_size: int, model_ends: Iterable[int] = ()) -> None:
    """Raises InvalidInput, naming the field, for a token id that the model does not have, or where no token is left."""
    check_bias(sampling.logit_bias, vocab_size)
    check_known(sampling.allowed_ids, vocab_size, "allowed_token_ids")
    check_known(sampling.stop_ids, vocab_size, "stop_token_ids")
    left = {*sampling.allowed_ids} - {*model_ends, *sampling.stop_ids}
    if sampling.min_tokens and sampling.allowed_ids and not left:
        raise InvalidInput(
            "allowed_token_ids: all of them end an answer, which min_tokens forbids at its beginning.",
            param="allowed_token_ids",
        )


def check_bias(bias: Mapping[int, float], vocab_size: int) -> None:
    """Raises InvalidInput for a token id that the model does not have, or a bias that is not a number."""
    check_known(bias, vocab_size, "logit_bias")
    for token, value in bias.items():
        if not math.isfinite(value):
            raise InvalidInput(
                f"the bias of token id {token} is {value}, not a finite number.", param="logit_bias"
            )


def check_known(ids: Iterable[int], vocab_size: int, param: str) -> None:
    """Raises InvalidInput, naming the field, for a token id that the model does not have."""
    unknown = next((token for token in ids if not 0 <= token < vocab_size), None)
    if unknown is not None:
        raise InvalidInput(
            f"token id {unknown} is outside the model's vocabulary (0 to {vocab_size - 1}).", param=param
        )


def _allow_only(ids: mx.array, _: mx.array, logits: mx.array) -> mx.array:
    logits = logits.astype(mx.float32)
    return _replace(mx.full(logits.shape, -mx.inf), ids, logits[:, ids])


def _forbid_before(length: int, ids: mx.array, tokens: mx.array, logits: mx.array) -> mx.array:
    """Rules the ids out while prompt and answer have fewer tokens than `length`."""
    if tokens.size >= length:
        return logits
    return _replace(logits.astype(mx.float32), ids, mx.full((1, ids.size), -mx.inf))


def _add_bias(ids: mx.array, values: mx.array, _: mx.array, logits: mx.array) -> mx.array:
    return logits.astype(mx.float32).at[:, ids].add(values)


def _penalise_repetition(penalty: float, context: int, tokens: mx.array, logits: mx.array) -> mx.array:
    """Divides a logit over 0 by the penalty and multiplies one under 0, once, however often its token came."""
    earlier = tokens[-context:]  # 0: all
    if not earlier.size:
        return logits
    logits = logits.astype(mx.float32)
    known = logits[:, earlier]
    return _replace(logits, earlier, mx.where(known > 0, known / penalty, known * penalty))


def _penalise_frequency(
    penalty: float, context: int, prompt_tokens: int, tokens: mx.array, logits: mx.array
) -> mx.array:
    """Subtracts the penalty for each time that the token came."""
    earlier = tokens[prompt_tokens:][-context:]
    return logits.astype(mx.float32).at[:, earlier].subtract(penalty) if earlier.size else logits


def _penalise_presence(
    penalty: float, context: int, prompt_tokens: int, tokens: mx.array, logits: mx.array
) -> mx.array:
    """Subtracts the penalty once from each token that came."""
    earlier = tokens[prompt_tokens:][-context:]
    if not earlier.size:
        return logits
    logits = logits.astype(mx.float32)
    return _replace(logits, earlier, logits[:, earlier] - penalty)


def _replace(logits: mx.array, tokens: mx.array, values: mx.array) -> mx.array:
    """A copy with `values` (1, tokens) in the tokens' places. A token that occurs twice has the same value twice."""
    return mx.put_along_axis(logits, tokens[None], values, axis=-1)
