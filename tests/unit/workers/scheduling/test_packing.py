import random
from typing import NamedTuple

import pytest

from jobs.job import Lane
from workers.scheduling.packing import BatchLimits, choose_queue, pack

LIMITS = BatchLimits(tokens=2048, items=256, padding=0.08, free_padding=32)


class Item(NamedTuple):
    length: int
    order: int
    lane: Lane = Lane.DEFAULT


def drain(items: list[Item], limits: BatchLimits) -> list[list[Item]]:
    batches = []
    while items:
        lane = min((item.lane for item in items), key=list(Lane).index)
        chosen = pack(items, lane, limits)
        batches.append([items[n] for n in chosen])
        items = [item for n, item in enumerate(items) if n not in set(chosen)]
    return batches


def padding_share(batches: list[list[Item]]) -> float:
    padded = sum(max(i.length for i in batch) * len(batch) for batch in batches)
    return 1 - sum(i.length for batch in batches for i in batch) / padded


def lognormal_items(count: int, seed: int = 7) -> list[Item]:
    rng = random.Random(seed)
    return [Item(min(512, max(3, int(rng.lognormvariate(4.2, 0.8)))), n) for n in range(count)]


@pytest.mark.parametrize("tokens", [2048, 16384])
def test_lognormal_lengths_waste_at_most_eight_percent_on_padding(tokens: int):
    batches = drain(lognormal_items(2000), LIMITS._replace(tokens=tokens))
    assert padding_share(batches) <= 0.08
    assert sum(map(len, batches)) == 2000


def test_a_shallow_queue_of_mixed_lengths_wastes_at_most_eight_percent_too():
    batches = [batch for seed in range(40) for batch in drain(lognormal_items(64, seed), LIMITS)]
    assert padding_share(batches) <= 0.08


def test_no_batch_exceeds_the_token_budget_unless_one_item_does_alone():
    items = [Item(5000, 0), *lognormal_items(500)]
    for batch in drain(items, LIMITS):
        longest = max(i.length for i in batch)
        assert longest * len(batch) <= 2048 or len(batch) == 1


def test_a_batch_holds_at_most_the_allowed_items():
    batches = drain([Item(1, n) for n in range(1000)], LIMITS)
    assert [len(batch) for batch in batches] == [256, 256, 256, 232]


def test_the_oldest_item_of_the_lane_is_always_in_the_batch():
    items = [Item(500, 0), *[Item(20, n) for n in range(1, 400)]]
    assert 0 in pack(items, Lane.DEFAULT, LIMITS)


def test_items_come_sorted_by_length():
    items = lognormal_items(300)
    lengths = [items[n].length for n in pack(items, Lane.DEFAULT, LIMITS)]
    assert lengths == sorted(lengths)


def test_a_batch_with_room_is_topped_up_from_lower_lanes_in_order():
    items = [
        Item(100, 0, Lane.BULK),
        Item(100, 1, Lane.INTERACTIVE),
        Item(100, 2, Lane.DEFAULT),
        Item(100, 3, Lane.BULK),
    ]
    chosen = pack(items, Lane.INTERACTIVE, LIMITS._replace(tokens=300))
    assert {items[n].order for n in chosen} >= {1, 2}
    assert len(chosen) == 3


def test_lower_lanes_never_take_the_place_of_a_higher_one():
    items = [
        *[Item(100, n, Lane.BULK) for n in range(50)],
        *[Item(100, 50 + n, Lane.INTERACTIVE) for n in range(20)],
    ]
    chosen = pack(items, Lane.INTERACTIVE, LIMITS)
    assert [items[n].lane for n in chosen] == [Lane.INTERACTIVE] * 20


A_INTERACTIVE, A_BULK, B_BULK = ("a", Lane.INTERACTIVE), ("a", Lane.BULK), ("b", Lane.BULK)


def test_the_highest_lane_leads_and_of_two_models_the_one_that_waits_longer():
    assert choose_queue({A_BULK: 1, A_INTERACTIVE: 9, B_BULK: 0}, {}, 5) == A_INTERACTIVE
    assert choose_queue({A_BULK: 1, B_BULK: 0}, {}, 5) == B_BULK


def test_a_starving_lower_lane_leads_a_batch_also_against_another_model():
    oldest = {A_INTERACTIVE: 1, B_BULK: 2}
    assert choose_queue(oldest, {B_BULK: 4.9}, 5) == A_INTERACTIVE
    assert choose_queue(oldest, {B_BULK: 5.1}, 5) == B_BULK


def test_without_work_nothing_leads():
    assert choose_queue({}, {}, 5) is None


def test_of_equally_long_items_the_oldest_go_first():
    items = [Item(100, n) for n in range(50)]
    assert sorted(pack(items, Lane.DEFAULT, LIMITS)) == list(range(20))


def test_a_batch_has_one_of_the_allowed_counts_and_keeps_its_head():
    items = [Item(100 + n % 5, n) for n in range(20)]
    for limit in range(2, 21):
        chosen = pack(
            items, Lane.DEFAULT, LIMITS._replace(tokens=10_000, items=limit, counts=(1, 2, 4, 8, 16))
        )
        assert len(chosen) == max(count for count in (1, 2, 4, 8, 16) if count <= limit)
        assert 0 in chosen
