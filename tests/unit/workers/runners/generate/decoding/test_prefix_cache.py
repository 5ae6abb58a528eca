"""States of earlier prompts: found by their beginning, shared, bounded by bytes."""

from typing import Any

import mlx.core as mx
import pytest
from mlx_lm.models.cache import ArraysCache, KVCache

from workers.runners.generate.decoding.prefix_cache import MIN_TOKENS, PrefixCache

HEADS, SIZE = 2, 4
BYTES_PER_TOKEN = 2 * HEADS * SIZE * 4


def layers(tokens: int) -> list[Any]:
    """One layer that holds so many tokens, each with its number as keys."""
    cache = KVCache()
    cache.keys = mx.broadcast_to(
        mx.arange(tokens, dtype=mx.float32)[None, None, :, None], (1, HEADS, tokens, SIZE)
    )
    cache.values = cache.keys
    cache.offset = tokens
    return [cache]


def test_the_longest_common_prefix_is_found_and_cut_to():
    cache = PrefixCache(1 << 20)
    cache.store(range(100), layers(100))
    cache.store([*range(40), *range(500, 600)], layers(140))
    hit = cache.find([*range(60), 999, 998])
    assert hit is not None
    assert hit.tokens == 60
    assert hit.layers[0].offset == 60


def test_a_prompt_known_to_its_end_still_has_its_last_token_read():
    cache = PrefixCache(1 << 20)
    cache.store(range(50), layers(50))
    hit = cache.find(list(range(50)))
    assert hit is not None
    assert hit.tokens == 49


def test_what_was_found_can_be_changed_without_changing_what_is_stored():
    cache = PrefixCache(1 << 20)
    cache.store(range(50), layers(50))
    for _ in range(2):
        hit = cache.find([*range(30), 7])
        assert hit is not None
        assert hit.layers[0].offset == 30
    again = cache.find([*range(50), 7])
    assert again is not None
    assert again.tokens == 50


def test_a_short_prefix_is_not_worth_it():
    cache = PrefixCache(1 << 20)
    cache.store(range(100), layers(100))
    assert cache.find([*range(MIN_TOKENS - 1), 999, 998]) is None
    assert cache.find([5, 6, 7, 8]) is None


def test_the_least_recently_used_goes_first():
    cache = PrefixCache(3 * 100 * BYTES_PER_TOKEN)
    for start in (0, 1000, 2000):
        cache.store(range(start, start + 100), layers(100))
    assert cache.find([*range(100), 5])  # used again
    cache.store(range(3000, 3100), layers(100))
    assert cache.size_bytes <= cache.max_bytes
    assert cache.find([*range(1000, 1100), 5]) is None
    assert cache.find([*range(100), 5])


def test_a_longer_state_takes_the_place_of_its_prefix():
    cache = PrefixCache(1 << 20)
    cache.store(range(50), layers(50))
    cache.store(range(80), layers(80))
    assert cache.size_bytes == 80 * BYTES_PER_TOKEN


def test_a_state_larger_than_the_whole_cache_is_not_kept():
    cache = PrefixCache(10 * BYTES_PER_TOKEN)
    cache.store(range(50), layers(50))
    assert cache.size_bytes == 0


@pytest.mark.parametrize(("asked", "known"), [([*range(50), 7], 50), ([*range(40), 7, 8], None)])
def test_a_recurrent_state_serves_only_prompts_that_go_on_from_it(asked: list[int], known: int | None):
    state = ArraysCache(1)
    state[0] = mx.zeros((1, 4))
    cache = PrefixCache(1 << 20)
    cache.store(range(50), [state])
    hit = cache.find(asked)
    assert (hit and hit.tokens) == known
