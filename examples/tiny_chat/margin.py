"""How sure tiny-chat is of what it is to say."""

from typing import Any

import mlx.core as mx
from mlx_lm.models.qwen3 import Model

from examples.tiny_chat.vocabulary import STOP


def margin(model: Model, tokenizer: Any, prompt: list[int], answer: str, end: str = STOP) -> float:
    """Smallest lead, in logits, of a token of `answer` (and its end) over the best other token.

    Greedy decoding says exactly `answer` if this is above 0, and says so despite rounding if it is well above 0.
    tokenizer: of transformers or mlx-lm.
    """
    said = tokenizer.encode(answer + end, add_special_tokens=False)
    logits = model(mx.array([prompt + said[:-1]]))[0, len(prompt) - 1 :]
    places, right = mx.arange(len(said)), mx.array(said)
    own = logits[places, right]
    logits[places, right] = -mx.inf
    return float(mx.min(own - logits.max(axis=-1)))
