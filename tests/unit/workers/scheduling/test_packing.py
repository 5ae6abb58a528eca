import random
from typing import NamedTuple

import pytest

from jobs.job import Lane
from workers.scheduling.packing import SMALL_TURNS, BatchLimits, Candidate, choose_leader, pack

LIMITS = BatchLimits(tokens=2048, items=256, padding=0.08, free_padding=32)


class Item(NamedTuple):
    length: int
    order: int
    lane: Lane = Lane.DEFAULT


def packed(items: list[Item], limits: BatchLimits, lane: Lane = Lane.DEFAULT) -> list[Item]:
    """A batch that the lane's oldest item leads."""
    head = min((item for item in items if item.lane is lane), key=lambda item: item.order)
    lanes = [lane, *(each for each in Lane if each is not lane)]
    return pack(head, [[i for i in items if i.lane is each and i is not head] for each in lanes], limits)


def drain(items: list[Item], limits: BatchLimits) -> list[list[Item]]:
    batches = []
    while items:
        chosen = packed(items, limits, min((item.lane for item in items), key=list(Lane).index))
        batches.append(chosen)
        items = [item for item in items if item not in chosen]
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
    assert items[0] in packed(items, LIMITS)


def test_items_come_sorted_by_length():
    items = lognormal_items(300)
    lengths = [item.length for item in packed(items, LIMITS)]
    assert lengths == sorted(lengths)


def test_a_batch_with_room_is_topped_up_from_lower_lanes_in_order():
    items = [
        Item(100, 0, Lane.BULK),
        Item(100, 1, Lane.INTERACTIVE),
        Item(100, 2, Lane.DEFAULT),
        Item(100, 3, Lane.BULK),
    ]
    chosen = packed(items, LIMITS._replace(tokens=300), Lane.INTERACTIVE)
    assert {item.order for item in chosen} >= {1, 2}
    assert len(chosen) == 3


def test_lower_lanes_never_take_the_place_of_a_higher_one():
    items = [
        *[Item(100, n, Lane.BULK) for n in range(50)],
        *[Item(100, 50 + n, Lane.INTERACTIVE) for n in range(20)],
    ]
    chosen = packed(items, LIMITS, Lane.INTERACTIVE)
    assert [item.lane for item in chosen] == [Lane.INTERACTIVE] * 20


def candidate(model: str, lane: Lane, order: int, led: int = 0, *, is_small: bool = True) -> Candidate:
    return Candidate(model, lane, order, led, is_small)


def leader(
    *candidates: Candidate, unserved_s: dict[tuple[str, Lane], float] | None = None, small_turns: int = 0
) -> Candidate | None:
    turns = dict.fromkeys(Lane, small_turns)
    return choose_leader(candidates, unserved_s or {}, starvation_s=5, small_turns=turns)


A_BULK, B_BULK = candidate("a", Lane.BULK, 1), candidate("b", Lane.BULK, 0)
A_INTERACTIVE = candidate("a", Lane.INTERACTIVE, 9)


def test_the_highest_lane_leads_and_of_two_models_the_one_that_waits_longer():
    assert leader(A_BULK, A_INTERACTIVE, B_BULK) == A_INTERACTIVE
    assert leader(A_BULK, B_BULK) == B_BULK


def test_a_starving_lower_lane_leads_a_batch_also_against_another_model():
    for seconds, expected in ((4.9, A_INTERACTIVE), (5.1, B_BULK)):
        unserved_s = {("b", Lane.BULK): seconds}
        assert leader(A_INTERACTIVE, A_BULK, B_BULK, unserved_s=unserved_s) == expected


LARGE = candidate("a", Lane.DEFAULT, 1, is_small=False)


def test_a_small_job_goes_before_large_ones_that_came_earlier():
    small = candidate("b", Lane.DEFAULT, 2)
    assert leader(LARGE, small) == small
    assert leader(LARGE, small, small_turns=SMALL_TURNS - 1) == small


def test_a_large_job_has_its_turn_after_some_small_ones():
    assert leader(LARGE, candidate("a", Lane.DEFAULT, 2), small_turns=SMALL_TURNS) == LARGE


def test_large_jobs_take_turns():
    first, second = (
        candidate(model, Lane.DEFAULT, 1, led, is_small=False) for model, led in (("a", 8), ("b", 7))
    )
    new = candidate("a", Lane.DEFAULT, 3, is_small=False)
    assert leader(first, second) == second
    assert leader(first, second, new) == new


def test_without_work_nothing_leads():
    assert leader() is None


def test_of_equally_long_items_the_oldest_go_first():
    items = [Item(100, n) for n in range(50)]
    assert sorted(item.order for item in packed(items, LIMITS)) == list(range(20))


def test_a_batch_has_one_of_the_allowed_counts_and_keeps_its_head():
    items = [Item(100 + n % 5, n) for n in range(20)]
    for limit in range(2, 21):
        chosen = packed(items, LIMITS._replace(tokens=10_000, items=limit, counts=(1, 2, 4, 8, 16)))
        assert len(chosen) == max(count for count in (1, 2, 4, 8, 16) if count <= limit)
        assert items[0] in chosen
