"""Small jobs beside large ones, and lower lanes beside higher ones."""

import itertools
from collections import Counter

import pytest

from jobs.embed import EmbedJob
from jobs.job import Lane
from tests.support.fake_runner import FakeItem
from workers.queue.execution import Claim
from workers.scheduling.active_job import ActiveJob, Prepared
from workers.scheduling.device_queue import LARGE_SHARE, POOL_BATCHES, QueuedItem
from workers.scheduling.in_flight import InFlight, Reason
from workers.scheduling.packing import SMALL_TURNS, BatchLimits

LIMITS = BatchLimits(tokens=100, items=10, padding=0.5, free_padding=0)
INTERACTIVE, DEFAULT, BULK = Lane.INTERACTIVE, Lane.DEFAULT, Lane.BULK
SLOTS = 16
STARVATION_S = 5.0


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def in_flight(clock: Clock) -> InFlight:
    """Of the embedder m, of another one, and of a model that writes answers."""
    limits = {"m": LIMITS, "other": LIMITS}
    return InFlight(limits, starvation_s=STARVATION_S, slots={"w": SLOTS}, clock=clock)


numbers = itertools.count()


def add(in_flight: InFlight, items: int = 1, lane: Lane = INTERACTIVE, model: str = "m") -> ActiveJob:
    """A job with so many items of ten tokens, prepared."""
    claim = Claim(f"j{next(numbers)}", "x", f"embed:{model}:{lane}", b"", 60, 60, 0, (), 10 * items, False)
    (active,) = in_flight.add([claim])
    job = EmbedJob(model=model, inputs=("x" * 10,) * items)
    in_flight.make_ready(active, Prepared(job, [FakeItem("x", 10)] * items, [None] * items))
    return active


def batch(in_flight: InFlight) -> Counter[int]:
    """Runs one: how many items of which jobs were in it."""
    found = in_flight.next_batch(0)
    assert found is not None
    in_flight.record(found.items, [b""] * len(found.items))
    return Counter(id(queued.active) for queued in found.items)


def test_a_small_job_is_in_the_next_batch_beside_a_large_one(in_flight: InFlight):
    large = add(in_flight, 2048)
    batch(in_flight)
    small = add(in_flight)
    assert batch(in_flight) == {id(small): 1, id(large): 9}


def test_a_small_job_of_one_model_does_not_wait_for_a_large_one_of_another(in_flight: InFlight):
    add(in_flight, 2048)
    batch(in_flight)
    small = add(in_flight, model="other")
    assert batch(in_flight) == {id(small): 1}


def test_a_small_job_is_in_the_next_batch_beside_many_large_ones(in_flight: InFlight):
    for _ in range(20):
        add(in_flight, 2048)
    batch(in_flight)
    small = add(in_flight)
    assert batch(in_flight)[id(small)] == 1


def test_several_small_jobs_go_before_the_rest_of_a_large_one(in_flight: InFlight):
    add(in_flight, 2048)
    batch(in_flight)
    small = {id(add(in_flight)) for _ in range(10)}
    assert batch(in_flight).keys() == small


def test_a_large_job_goes_on_beside_a_flood_of_small_ones(in_flight: InFlight):
    large = add(in_flight, 2048)
    batch(in_flight)
    led = 0
    for _ in range(3 * (SMALL_TURNS + 1)):
        for _ in range(20):
            add(in_flight)
        led += batch(in_flight) == {id(large): 10}
    assert led == 3


def test_large_jobs_take_turns(in_flight: InFlight):
    add(in_flight, 2048)
    batch(in_flight)
    later = add(in_flight, 60)
    taken = sum(batch(in_flight)[id(later)] for _ in range(12))
    assert taken == 60


def test_a_large_job_is_parted_into_slices_of_equal_lengths(in_flight: InFlight):
    (active,) = in_flight.add([Claim("a", "x", "embed:m:bulk", b"", 60, 60, 0, (), 10, False)])
    lengths = [3, 50] * 50
    items = [FakeItem(str(n), length) for n, length in enumerate(lengths)]
    in_flight.make_ready(active, Prepared(EmbedJob(model="m", inputs=()), items, [None] * 100))
    for _ in range(5):
        found = in_flight.next_batch(0)
        assert found is not None
        assert [queued.length for queued in found.items] == [3] * 10
        assert all(queued.item.text == str(queued.item_index) for queued in found.items)


def test_a_large_job_leaves_room_for_small_ones_to_be_claimed(in_flight: InFlight):
    room = in_flight.capacity("m")[0].tokens
    assert room == POOL_BATCHES * LIMITS.tokens
    add(in_flight, 2048)
    assert in_flight.capacity("m")[0].tokens == room - LIMITS.tokens // LARGE_SHARE


def test_so_many_large_jobs_are_claimed_and_no_more(in_flight: InFlight):
    for _ in range(POOL_BATCHES * (LARGE_SHARE + 1)):
        add(in_flight, 2048)
    assert in_flight.capacity("m")[0].tokens <= 0


class Chat:
    """A model's running answers, each of which ends when the test says so."""

    def __init__(self, in_flight: InFlight) -> None:
        self.in_flight = in_flight
        self.running: list[QueuedItem] = []

    def begin(self) -> list[QueuedItem]:
        begun = self.in_flight.next_answers("w", [queued.lane for queued in self.running])
        self.running += begun
        return begun

    def end(self, count: int) -> None:
        ended, self.running = self.running[:count], self.running[count:]
        complete = self.in_flight.record(ended, ["text"] * len(ended))
        self.in_flight.remove(complete, Reason.FINISHED)

    def lanes(self) -> Counter[Lane]:
        return Counter(queued.lane for queued in self.running)


def test_a_waiting_answer_of_a_lower_lane_begins_within_the_bound_beside_steady_chat(
    in_flight: InFlight, clock: Clock
):
    chat = Chat(in_flight)
    for _ in range(14):  # of 16 places, of which 4 are kept for chats
        add(in_flight, model="w")
    chat.begin()
    add(in_flight, model="w", lane=DEFAULT)
    add(in_flight, model="w", lane=BULK)
    while clock.now < STARVATION_S:
        chat.end(1)
        add(in_flight, model="w")
        chat.begin()
        assert chat.lanes() == {INTERACTIVE: 14}
        clock.now += 0.5
    chat.begin()
    assert chat.lanes() == {INTERACTIVE: 14, DEFAULT: 1, BULK: 1}


def test_a_waiting_answer_of_a_lower_lane_begins_within_the_bound_where_chats_take_all_places(
    in_flight: InFlight, clock: Clock
):
    chat = Chat(in_flight)
    for _ in range(20):
        add(in_flight, model="w")
    chat.begin()
    assert chat.lanes() == {INTERACTIVE: 16}
    add(in_flight, model="w", lane=BULK)
    clock.now += STARVATION_S
    assert chat.begin() == []
    chat.end(1)
    assert [queued.lane for queued in chat.begin()] == [BULK]


def test_answers_of_a_lower_lane_take_chat_s_places_one_by_one(in_flight: InFlight, clock: Clock):
    chat = Chat(in_flight)
    for _ in range(13):
        add(in_flight, model="w")
    chat.begin()
    for _ in range(10):
        add(in_flight, model="w", lane=BULK)
    clock.now += STARVATION_S
    assert len(chat.begin()) == 1
    assert len(chat.begin()) == 0
    clock.now += STARVATION_S
    assert len(chat.begin()) == 1


def test_answers_of_a_lower_lane_never_take_more_than_their_part(in_flight: InFlight, clock: Clock):
    chat = Chat(in_flight)
    for _ in range(20):
        add(in_flight, model="w", lane=BULK)
    chat.begin()
    assert chat.lanes() == {BULK: 12}
    for _ in range(20):
        add(in_flight, model="w")
    chat.begin()
    clock.now += STARVATION_S
    chat.running.sort(key=lambda queued: queued.lane is BULK)
    chat.end(1)  # a chat's answer
    chat.begin()
    assert chat.lanes() == {BULK: 12, INTERACTIVE: 4}


@pytest.mark.parametrize("lane", [DEFAULT, BULK])
def test_a_lane_is_claimed_for_however_many_chats_there_are(in_flight: InFlight, lane: Lane):
    def room() -> int:
        return next(each.jobs for each in in_flight.capacity("w") if each.lane is lane)

    for _ in range(50):
        add(in_flight, model="w")
    assert room() == 1
    add(in_flight, model="w", lane=lane)
    assert room() <= 0


def test_a_job_with_many_answers_leaves_a_place_to_another(in_flight: InFlight):
    chat = Chat(in_flight)
    many = add(in_flight, 128, model="w")
    assert {id(queued.active) for queued in chat.begin()} == {id(many)}
    assert in_flight.capacity("w")[0].jobs > 0
    single = add(in_flight, model="w")
    assert [queued.active for queued in chat.begin()] == [single]


def test_of_two_jobs_with_many_answers_the_one_with_fewer_running_goes_on(in_flight: InFlight):
    chat = Chat(in_flight)
    first = add(in_flight, 128, model="w")
    chat.begin()
    second = add(in_flight, 128, model="w")
    chat.begin()
    for _ in range(12):
        chat.end(1)
        chat.begin()
    running = Counter(id(queued.active) for queued in chat.running)
    assert running == {id(first): 8, id(second): 8}


def test_all_answers_of_a_job_run_in_their_order(in_flight: InFlight):
    chat = Chat(in_flight)
    add(in_flight, 20, model="w")
    chat.begin()
    chat.end(10)
    chat.begin()
    assert [queued.item_index for queued in chat.running] == list(range(10, 20))
