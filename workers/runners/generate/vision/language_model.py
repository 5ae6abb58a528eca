"""A vision model's language part, called for a batch of rows, each of which has positions of its own.

M-RoPE (multimodal rotary position embedding) gives an image fewer positions than tokens, so a row's next position does
not follow from its number of tokens.
"""

from collections.abc import Sequence
from typing import Any, Protocol, Self

import mlx.core as mx
from mlx_vlm.models.cache import make_prompt_cache


class LanguageModel(Protocol):
    """What mlx-lm's generator calls."""

    def __call__(self, tokens: mx.array, cache: list[Any]) -> mx.array:
        """Logits (rows, length, vocabulary) for tokens (rows, length)."""
        ...

    @property
    def layers(self) -> Any: ...

    def make_cache(self) -> list[Any]:
        """Of one row that has read nothing."""
        ...


class RopeDeltas:
    """How far each row's next position is from its number of tokens: a cache layer that holds no keys.

    As a layer of the cache it is merged, split and filtered by mlx-lm together with the rows that it belongs to.
    """

    def __init__(self, deltas: mx.array | None = None) -> None:
        """deltas: (rows,), integers; None for a single row without images."""
        self.state = mx.zeros((1,), mx.int32) if deltas is None else deltas

    @classmethod
    def merge(cls, rows: Sequence[Self]) -> Self:
        return cls(mx.concatenate([row.state for row in rows]))

    def extend(self, other: Self) -> None:
        self.state = mx.concatenate([self.state, other.state])

    def filter(self, keep: Any) -> None:
        """keep: indices of rows, a list or an array."""
        self.state = self.state[mx.array(keep)]

    def extract(self, row: int) -> "RopeDeltas":
        return RopeDeltas(self.state[row : row + 1])

    def prepare(self, **_: Any) -> None:
        pass

    def finalize(self) -> None:
        pass

    def is_trimmable(self) -> bool:
        return True

    def trim(self, tokens: int) -> int:
        return tokens

    @property
    def nbytes(self) -> int:
        return self.state.nbytes


class MropeLanguageModel:
    """A language part with M-RoPE, which is given every row's position ids.

    The models keep the positions of the last prompt they saw in attributes (`_rope_deltas`, `_position_ids`), which is
    wrong for all rows but one, and across requests. They look there only where no positions are given.
    """

    def __init__(self, language: Any) -> None:
        self._language = language

    def __call__(self, tokens: mx.array, cache: list[Any]) -> mx.array:
        layers, deltas = cache[:-1], cache[-1]
        first = _offset(layers) + deltas.state
        position_ids = first[:, None] + mx.arange(tokens.shape[1])
        position_ids = mx.broadcast_to(mx.maximum(position_ids, 0), (3, *tokens.shape))
        found = self._language(tokens, cache=layers, position_ids=position_ids).logits
        cache[:-1] = layers  # qwen3_5 puts other objects into the list
        return found

    @property
    def layers(self) -> Any:
        return self._language.layers

    def make_cache(self) -> list[Any]:
        return [*make_prompt_cache(self._language), RopeDeltas()]


class PlainLanguageModel:
    """A language part that counts positions by tokens."""

    def __init__(self, language: Any) -> None:
        self._language = language

    def __call__(self, tokens: mx.array, cache: list[Any]) -> mx.array:
        return self._language(tokens, cache=cache).logits

    @property
    def layers(self) -> Any:
        return self._language.layers

    def make_cache(self) -> list[Any]:
        return make_prompt_cache(self._language)


def _offset(layers: Sequence[Any]) -> Any:
    """How many tokens each row has read; a recurrent layer does not know."""
    return next(layer.offset for layer in layers if hasattr(layer, "offset"))
