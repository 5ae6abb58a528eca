"""The key-value state of prompts and answers seen before, for prompts that begin the same way."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
from mlx_lm.models.cache import can_trim_prompt_cache, trim_prompt_cache
from numpy.typing import NDArray

from workers.runners.tokens.common_prefix import common_prefix_length

Layers = list[Any]
"""One mlx-lm cache object per layer."""

MIN_TOKENS = 16
"""Shorter prefixes are computed as fast as they are found."""


class Hit(NamedTuple):
    """What the cache holds of a prompt."""

    layers: Layers
    tokens: int
    """How many of the prompt's tokens the layers have read."""


class _Entry(NamedTuple):
    ids: NDArray[np.int32]
    layers: Layers
    size_bytes: int


class PrefixCache:
    """Least recently used out first. One per model; belongs to the thread that owns the device.

    A stored state is never written to: what `find` returns shares its arrays, and joining a batch copies them.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.size_bytes = 0
        self._entries: list[_Entry] = []  # the last one was used last

    def find(self, ids: Sequence[int]) -> Hit | None:
        """The state that holds most of the prompt; its last token is never part of it: that one must be read anew."""
        wanted = np.asarray(ids[:-1], dtype=np.int32)
        best: _Entry | None = None
        most = MIN_TOKENS - 1
        for entry in self._entries:
            shared = common_prefix_length(entry.ids, wanted)
            if shared < len(entry.ids) and not can_trim_prompt_cache(entry.layers):
                continue  # a recurrent state cannot be taken back to where the prompts part
            if shared > most:
                best, most = entry, shared
        if best is None:
            return None
        self._entries = [*(each for each in self._entries if each is not best), best]
        layers = [copy.copy(layer) for layer in best.layers]
        if most < len(best.ids):
            trim_prompt_cache(layers, len(best.ids) - most)
        return Hit(layers, most)

    def store(self, ids: Sequence[int], layers: Layers) -> None:
        """Keep the state of exactly these tokens."""
        if len(ids) < MIN_TOKENS:
            return
        mx.async_eval([layer.state for layer in layers])  # or they would keep the batch they were cut from
        size_bytes = sum(layer.nbytes for layer in layers)
        if size_bytes > self.max_bytes:
            return
        held = np.asarray(ids, dtype=np.int32)
        trims = can_trim_prompt_cache(layers)
        kept: list[_Entry] = []
        for entry in self._entries:
            shared = common_prefix_length(entry.ids, held)
            covered = shared == len(entry.ids) and (trims or len(entry.ids) == len(held))
            if not covered:
                kept.append(entry)
        self._entries = [*kept, _Entry(held, layers, size_bytes)]
        self.shrink(self.max_bytes)

    def shrink(self, max_bytes: int) -> None:
        """Forget the least recently used until no more than that is held."""
        self.size_bytes = sum(entry.size_bytes for entry in self._entries)
        while self._entries and self.size_bytes > max_bytes:
            self.size_bytes -= self._entries.pop(0).size_bytes
