import time

from jobs.embed import EmbedJob
from jobs.job import Lane
from tests.support.fake_runner import FakeItem
from workers.queue.client import Claim
from workers.scheduling.in_flight import MAX_APART, POOL_BATCHES, Hand, Held
from workers.scheduling.packing import BatchLimits

LIMITS = BatchLimits(tokens=100, items=10, padding=0.5, free_padding=0)


def claim(job_id: str, lane: Lane = Lane.DEFAULT, cost: int = 10, time_limit_s: float = 60) -> Claim:
    return Claim(job_id, "x1", f"embed:m:{lane}", b"", time_limit_s, 60, False, 0, (), cost, False)


def offer(hand: Hand, each: Claim, lengths: list[int]) -> Held:
    (held,) = hand.hold([each])
    held.job = EmbedJob(model="m", inputs=tuple("x" * length for length in lengths))
    hand.offer(held, [FakeItem("x", length) for length in lengths])
    return held


def tokens(hand: Hand, lane: Lane) -> int:
    return next(tokens for each, tokens, _ in hand.rooms("m") if each is lane)


def test_a_large_job_shares_batches_and_completes_when_its_last_item_has():
    hand = Hand({"m": LIMITS}, starvation_s=5)
    large = offer(hand, claim("a"), [10] * 15)
    small = offer(hand, claim("b", Lane.INTERACTIVE), [10])

    first = hand.next_batch(0)
    assert first is not None
    assert len(first.entries) == 10
    assert small in [entry.held for entry in first.entries]
    assert hand.record(first.entries, [b""] * 10) == [small]

    second = hand.next_batch(0)
    assert second is not None
    assert hand.record(second.entries, [b""] * 6) == [large]


def test_a_lower_lane_leaves_room_for_the_higher_ones():
    hand = Hand({"m": LIMITS}, starvation_s=5)
    offer(hand, claim("a", Lane.BULK), [10] * 100)
    assert tokens(hand, Lane.INTERACTIVE) == 100 * POOL_BATCHES
    assert tokens(hand, Lane.BULK) < 0


def test_a_flood_in_a_high_lane_leaves_a_lower_one_its_turn():
    hand = Hand({"m": LIMITS}, starvation_s=5)
    offer(hand, claim("a", Lane.INTERACTIVE), [10] * 100)
    assert tokens(hand, Lane.INTERACTIVE) < 0
    assert tokens(hand, Lane.BULK) == 50


def test_a_lane_that_was_empty_is_not_starving_when_work_comes():
    hand = Hand({"m": LIMITS}, starvation_s=0.05)
    time.sleep(0.06)
    offer(hand, claim("a", Lane.BULK), [10])
    offer(hand, claim("b", Lane.INTERACTIVE), [90])
    batch = hand.next_batch(0)
    assert batch is not None
    assert batch.entries[-1].held.lane is Lane.INTERACTIVE


def test_work_on_its_way_through_the_tokeniser_counts_as_taken():
    hand = Hand({"m": LIMITS}, starvation_s=5)
    (held,) = hand.hold([claim("a", cost=150)])
    assert tokens(hand, Lane.DEFAULT) == 100 * POOL_BATCHES - 150
    hand.decline(held)
    assert tokens(hand, Lane.DEFAULT) == 100 * POOL_BATCHES


def test_a_dropped_job_leaves_no_items_behind():
    hand = Hand({"m": LIMITS}, starvation_s=5)
    held = offer(hand, claim("a"), [10] * 5)
    assert hand.drop(["a"]) == [held]
    assert hand.next_batch(0) is None
    assert len(hand) == 0


def test_outcomes_of_a_job_dropped_while_running_are_ignored():
    hand = Hand({"m": LIMITS}, starvation_s=5)
    offer(hand, claim("a"), [10])
    batch = hand.next_batch(0)
    assert batch is not None
    hand.drop(["a"])
    assert hand.record(batch.entries, [b""]) == []


def test_only_jobs_that_are_not_on_the_device_are_given_up():
    hand = Hand({"m": LIMITS}, starvation_s=5)
    running = offer(hand, claim("a"), [10] * 12)
    waiting = offer(hand, claim("b"), [10])
    hand.next_batch(0)
    assert hand.give_up_waiting() == [waiting]
    assert hand.running() == [running.claim]


def test_a_job_past_its_time_limit_is_overdue():
    hand = Hand({"m": LIMITS}, starvation_s=5)
    late = offer(hand, claim("a", time_limit_s=-1), [10])
    assert hand.overdue() == []  # it has not run yet
    hand.next_batch(0)
    offer(hand, claim("b"), [10])
    assert hand.overdue() == [late]
    assert hand.overdue() == []


def slot_jobs(hand: Hand) -> dict[Lane, int]:
    return {lane: jobs for lane, _, jobs in hand.rooms("m")}


def large(job_id: str, lane: Lane) -> Claim:
    return claim(job_id, lane)._replace(data=None)


def test_large_prompts_close_their_own_lane_and_the_ones_below():
    hand = Hand({}, starvation_s=5, slots={"m": 8})
    before = slot_jobs(hand)
    hand.hold([large(str(n), Lane.DEFAULT) for n in range(MAX_APART - 1)])
    assert slot_jobs(hand) == before
    (last,) = hand.hold([large("last", Lane.DEFAULT)])
    assert slot_jobs(hand) == {Lane.INTERACTIVE: before[Lane.INTERACTIVE], Lane.DEFAULT: 0, Lane.BULK: 0}
    hand.drop([last.claim.id])
    assert slot_jobs(hand) == before


def test_an_answer_that_waits_to_be_prepared_by_itself_takes_no_place():
    hand = Hand({}, starvation_s=5, slots={"m": 8})
    before = slot_jobs(hand)
    (held,) = hand.hold([claim("a", Lane.INTERACTIVE)])
    assert slot_jobs(hand)[Lane.INTERACTIVE] == before[Lane.INTERACTIVE] - 1
    hand.set_apart(held)
    assert slot_jobs(hand) == before
    hand.offer(held, [FakeItem("x", 1)])
    assert slot_jobs(hand)[Lane.INTERACTIVE] == before[Lane.INTERACTIVE] - 1
