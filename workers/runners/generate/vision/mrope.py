"""Rows of a batch, each at its own place: for models whose pictures have fewer positions than tokens (M-RoPE)."""

from collections.abc import Sequence
from typing import Any, Self

import mlx.core as mx
from mlx_vlm.models.cache import make_prompt_cache


class Shifts:
    """How far each row's next position is from its number of tokens: a cache layer that holds no keys.

    As a layer, it is joined, parted and filtered by mlx-lm with the rows that it belongs to.
    """

    def __init__(self, shifts: mx.array | None = None) -> None:
        """shifts: (rows,), integers; a single row without pictures if None."""
        self.state = mx.zeros((1,), mx.int32) if shifts is None else shifts

    @classmethod
    def merge(cls, rows: Sequence[Self]) -> Self:
        return cls(mx.concatenate([row.state for row in rows]))

    def extend(self, other: Self) -> None:
        self.state = mx.concatenate([self.state, other.state])

    def filter(self, keep: Any) -> None:
        """keep: the rows' numbers, a list or an array."""
        self.state = self.state[mx.array(keep)]

    def extract(self, row: int) -> "Shifts":
        return Shifts(self.state[row : row + 1])

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


class PlacedRows:
    """A vision model's language part as mlx-lm's generator calls it, every row told its own positions.

    The models keep the positions of the last prompt they saw in attributes (`_rope_deltas`, `_position_ids`), which is
    wrong for all rows but one, and across requests. They look there only where no positions are given.
    """

    def __init__(self, language: Any) -> None:
        self._language = language

    def __call__(self, tokens: mx.array, cache: list[Any]) -> mx.array:
        """Logits (rows, length, vocabulary) for tokens (rows, length)."""
        layers, shifts = cache[:-1], cache[-1]
        first = _offset(layers) + shifts.state
        places = first[:, None] + mx.arange(tokens.shape[1])
        places = mx.broadcast_to(mx.maximum(places, 0), (3, *tokens.shape))
        found = self._language(tokens, cache=layers, position_ids=places).logits
        cache[:-1] = layers  # qwen3_5 puts other objects into the list
        return found

    @property
    def layers(self) -> Any:
        return self._language.layers

    def make_cache(self) -> list[Any]:
        return [*make_prompt_cache(self._language), Shifts()]


class PlainRows:
    """The same for a language part whose positions are its tokens'."""

    def __init__(self, language: Any) -> None:
        self._language = language

    def __call__(self, tokens: mx.array, cache: list[Any]) -> mx.array:
        """Logits (rows, length, vocabulary) for tokens (rows, length)."""
        return self._language(tokens, cache=cache).logits

    @property
    def layers(self) -> Any:
        return self._language.layers

    def make_cache(self) -> list[Any]:
        return make_prompt_cache(self._language)


def _offset(layers: Sequence[Any]) -> Any:
    """Tokens behind each row; a recurrent layer does not know."""
    return next(layer.offset for layer in layers if hasattr(layer, "offset"))
