import pytest

from jobs.embed import EmbedJob
from jobs.job import Lane
from tests.support.fake_runner import FakeItem
from workers.queue.execution import Claim
from workers.scheduling.active_job import ActiveJob, Prepared, Status
from workers.scheduling.device_queue import MAX_WAITING_ALONE, POOL_BATCHES
from workers.scheduling.in_flight import InFlight, Reason
from workers.scheduling.packing import BatchLimits

LIMITS = BatchLimits(tokens=100, items=10, padding=0.5, free_padding=0)


def claim(job_id: str, lane: Lane = Lane.DEFAULT, cost: int = 10, time_limit_s: float = 60) -> Claim:
    return Claim(job_id, "x1", f"embed:m:{lane}", b"", time_limit_s, 60, 0, (), cost, False)


def make_ready(in_flight: InFlight, each: Claim, lengths: list[int]) -> ActiveJob:
    (active,) = in_flight.add([each])
    in_flight.make_ready(active, prepared(lengths))
    return active


def prepared(lengths: list[int]) -> Prepared:
    job = EmbedJob(model="m", inputs=tuple("x" * length for length in lengths))
    return Prepared(job, [FakeItem("x", length) for length in lengths], [None] * len(lengths))


def tokens(in_flight: InFlight, lane: Lane) -> int:
    return next(tokens for each, tokens, _ in in_flight.capacity("m") if each is lane)


def test_a_large_job_shares_batches_and_completes_when_its_last_item_has():
    in_flight = InFlight({"m": LIMITS}, starvation_s=5)
    large = make_ready(in_flight, claim("a"), [10] * 15)
    small = make_ready(in_flight, claim("b", Lane.INTERACTIVE), [10])

    first = in_flight.next_batch(0)
    assert first is not None
    assert len(first.items) == 10
    assert small in [queued.active for queued in first.items]
    assert in_flight.record(first.items, [b""] * 10) == [small]

    second = in_flight.next_batch(0)
    assert second is not None
    assert in_flight.record(second.items, [b""] * 6) == [large]


def test_a_lower_lane_leaves_room_for_the_higher_ones():
    in_flight = InFlight({"m": LIMITS}, starvation_s=5)
    for n in range(50):
        make_ready(in_flight, claim(f"{n}", Lane.BULK), [10])
    assert tokens(in_flight, Lane.INTERACTIVE) == 100 * POOL_BATCHES
    assert tokens(in_flight, Lane.BULK) < 0


def test_a_flood_in_a_high_lane_leaves_a_lower_one_its_turn():
    in_flight = InFlight({"m": LIMITS}, starvation_s=5)
    for n in range(50):
        make_ready(in_flight, claim(f"{n}", Lane.INTERACTIVE), [10])
    assert tokens(in_flight, Lane.INTERACTIVE) < 0
    assert tokens(in_flight, Lane.BULK) == 50


def test_a_lane_that_was_empty_is_not_starving_when_work_comes():
    now = 0.0
    in_flight = InFlight({"m": LIMITS}, starvation_s=5, clock=lambda: now)
    now = 6.0
    make_ready(in_flight, claim("a", Lane.BULK), [10])
    make_ready(in_flight, claim("b", Lane.INTERACTIVE), [90])
    batch = in_flight.next_batch(0)
    assert batch is not None
    assert batch.items[-1].active.lane is Lane.INTERACTIVE


def test_work_on_its_way_through_the_tokeniser_counts_as_taken():
    in_flight = InFlight({"m": LIMITS}, starvation_s=5)
    (active,) = in_flight.add([claim("a", cost=11)])
    assert tokens(in_flight, Lane.DEFAULT) == 100 * POOL_BATCHES - 11
    in_flight.begin_finish([active], only_claimed=True)
    assert tokens(in_flight, Lane.DEFAULT) == 100 * POOL_BATCHES


def test_a_canceled_job_leaves_no_items_behind():
    in_flight = InFlight({"m": LIMITS}, starvation_s=5)
    active = make_ready(in_flight, claim("a"), [10] * 5)
    assert in_flight.remove([active], Reason.CANCELED) == [active]
    assert in_flight.next_batch(0) is None
    assert len(in_flight) == 0


def test_outcomes_of_a_job_canceled_while_running_are_ignored():
    in_flight = InFlight({"m": LIMITS}, starvation_s=5)
    active = make_ready(in_flight, claim("a"), [10])
    batch = in_flight.next_batch(0)
    assert batch is not None
    in_flight.remove([active], Reason.CANCELED)
    assert in_flight.record(batch.items, [b""]) == []


def test_only_jobs_that_are_not_on_the_device_are_given_back():
    in_flight = InFlight({"m": LIMITS}, starvation_s=5)
    running = make_ready(in_flight, claim("a"), [10] * 12)
    waiting = make_ready(in_flight, claim("b", Lane.BULK), [10])
    in_flight.next_batch(0)
    assert in_flight.remove(in_flight.jobs(), Reason.WORKER_STOPS) == [waiting]
    assert in_flight.on_device() == [running]


def test_a_job_past_its_time_limit_is_overdue():
    in_flight = InFlight({"m": LIMITS}, starvation_s=5)
    late = make_ready(in_flight, claim("a", time_limit_s=-1), [10])
    assert in_flight.begin_finish_overdue() == []  # it has not run yet
    in_flight.next_batch(0)
    make_ready(in_flight, claim("b"), [10])
    assert in_flight.begin_finish_overdue() == [late]
    assert in_flight.begin_finish_overdue() == []


def slot_jobs(in_flight: InFlight) -> dict[Lane, int]:
    return {lane: jobs for lane, _, jobs in in_flight.capacity("m")}


def large(job_id: str, lane: Lane) -> Claim:
    return claim(job_id, lane)._replace(data=None)


def test_large_prompts_close_their_own_lane_and_the_ones_below():
    in_flight = InFlight({}, starvation_s=5, slots={"m": 8})
    before = slot_jobs(in_flight)
    in_flight.add([large(str(n), Lane.DEFAULT) for n in range(MAX_WAITING_ALONE - 1)])
    assert slot_jobs(in_flight) == before
    (last,) = in_flight.add([large("last", Lane.DEFAULT)])
    assert slot_jobs(in_flight) == {Lane.INTERACTIVE: before[Lane.INTERACTIVE], Lane.DEFAULT: 0, Lane.BULK: 0}
    in_flight.remove([last], Reason.CANCELED)
    assert slot_jobs(in_flight) == before


def test_an_answer_that_waits_to_be_prepared_by_itself_takes_no_place():
    in_flight = InFlight({}, starvation_s=5, slots={"m": 8})
    before = slot_jobs(in_flight)
    (active,) = in_flight.add([claim("a", Lane.INTERACTIVE)])
    assert slot_jobs(in_flight)[Lane.INTERACTIVE] == before[Lane.INTERACTIVE] - 1
    in_flight.set_prepared_alone(active)
    assert slot_jobs(in_flight) == before
    in_flight.make_ready(active, prepared([1]))
    assert slot_jobs(in_flight)[Lane.INTERACTIVE] == before[Lane.INTERACTIVE] - 1


def test_a_job_goes_from_claimed_to_ready_to_running_to_finishing():
    in_flight = InFlight({"m": LIMITS}, starvation_s=5)
    (active,) = in_flight.add([claim("a")])
    assert active.status is Status.CLAIMED
    in_flight.make_ready(active, prepared([60, 60]))
    assert active.status is Status.READY
    for expected in (Status.READY, Status.FINISHING):
        batch = in_flight.next_batch(0)
        assert batch is not None
        assert active.status is Status.RUNNING
        in_flight.record(batch.items, [b""])
        assert active.status is expected
    assert in_flight.remove([active], Reason.FINISHED) == [active]
    assert active.status is Status.REMOVED


@pytest.mark.parametrize("reason", [each for each in Reason if each is not Reason.FINISHED])
def test_a_job_whose_outcome_is_being_written_stays_until_it_is(reason: Reason):
    in_flight = InFlight({"m": LIMITS}, starvation_s=5)
    active = make_ready(in_flight, claim("a"), [10])
    assert in_flight.begin_finish([active]) == [active]
    assert in_flight.begin_finish([active]) == []
    assert in_flight.remove([active], reason) == []
    assert in_flight.jobs() == [active]


def test_a_job_that_has_begun_stays_when_its_model_leaves():
    in_flight = InFlight({"m": LIMITS}, starvation_s=5)
    begun = make_ready(in_flight, claim("a"), [60, 60])
    batch = in_flight.next_batch(0)
    assert batch is not None
    in_flight.record(batch.items, [b""])
    untouched = make_ready(in_flight, claim("b"), [10])
    assert in_flight.remove(in_flight.jobs(), Reason.MODEL_LEAVES) == [untouched]
    assert in_flight.jobs() == [begun]


def test_a_job_that_was_prepared_meanwhile_is_not_refused_any_more():
    in_flight = InFlight({"m": LIMITS}, starvation_s=5)
    active = make_ready(in_flight, claim("a"), [10])
    assert in_flight.begin_finish([active], only_claimed=True) == []
    in_flight.make_ready(active, prepared([10]))  # by a second thread
    batch = in_flight.next_batch(0)
    assert batch is not None
    assert len(batch.items) == 1


def test_a_job_that_comes_back_before_its_lost_lease_was_noticed_replaces_the_earlier_execution():
    in_flight = InFlight({"m": LIMITS}, starvation_s=5)
    (earlier,) = in_flight.add([claim("a", cost=150)])
    later = make_ready(in_flight, claim("a")._replace(execution="x2"), [10])
    assert not earlier.is_wanted
    assert in_flight.jobs() == [later]
    assert tokens(in_flight, Lane.DEFAULT) == 100 * POOL_BATCHES - 10
    assert in_flight.remove([earlier], Reason.LEASE_LOST) == []
    assert in_flight.jobs() == [later]
