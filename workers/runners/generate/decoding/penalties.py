"""What changes an answer's logits by the tokens that came before: penalties, and the request's own bias."""

import math
from collections.abc import Callable, Mapping
from functools import partial

import mlx.core as mx

from jobs.errors import InvalidInput
from jobs.generate import Sampling

# (prompt and generated tokens (tokens,), logits (1, vocabulary)) to logits: mlx-lm's interface, once per step and row.
LogitsProcessor = Callable[[mx.array, mx.array], mx.array]

# Below this a repetition penalty only ever picks tokens that came before, and dividing by it may overflow.
LEAST_REPETITION_PENALTY = 1e-6


def processors_for(sampling: Sampling, prompt_tokens: int) -> list[LogitsProcessor]:
    """The processors of one answer, none where nothing is asked; logits come out as float32, the ones given are kept.

    prompt_tokens: how many of the tokens they will be given are the prompt's (a cached prefix included: mlx-lm's
    `all_tokens` must hold it). Repetition counts prompt and answer (as Hugging Face and vLLM do), presence and
    frequency the answer alone (OpenAI's definition); mlx-lm's own count the prompt for all three. Order: bias,
    repetition, frequency, presence, as in vLLM.
    """
    processors: list[LogitsProcessor] = []
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


def check_bias(bias: Mapping[int, float], vocab_size: int) -> None:
    """Raises InvalidInput for a token id that the model does not have, or a bias that is not a number."""
    for token, value in bias.items():
        if not 0 <= token < vocab_size:
            raise InvalidInput(
                f"token id {token} is outside the model's vocabulary (0 to {vocab_size - 1}).",
                param="logit_bias",
            )
        if not math.isfinite(value):
            raise InvalidInput(
                f"the bias of token id {token} is {value}, not a finite number.", param="logit_bias"
            )


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
