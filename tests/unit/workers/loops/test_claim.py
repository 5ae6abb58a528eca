"""When the claim loop asks Redis again."""

from typing import Any

import fakeredis
import pytest

from jobs.embed import EmbedJob
from jobs.job import SubmitOptions
from jobs.store import record
from jobs.store.scripts import script
from tests.support.fake_runner import FakeRunner
from workers.loops.claim import ClaimLoop
from workers.models.model_cache import preloaded
from workers.queue.client import WorkerQueue
from workers.queue.fleet import Fleet
from workers.scheduling.active_job import ActiveJob
from workers.scheduling.in_flight import InFlight
from workers.scheduling.packing import BatchLimits

LIMITS = BatchLimits(tokens=64, items=64, padding=0.1, free_padding=0)


class Unprepared:
    """Jobs wait there for ever."""

    def add(self, active_jobs: list[ActiveJob]) -> None:
        pass


@pytest.fixture
def client() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis(server=fakeredis.FakeServer())


@pytest.fixture
def loop(client: fakeredis.FakeRedis) -> ClaimLoop:
    in_flight = InFlight({"fake": LIMITS}, starvation_s=10)
    queue = WorkerQueue(client, "w1", lease_s=10, max_crashes=3)
    pool: Any = Unprepared()
    cache = preloaded({"fake": FakeRunner()})
    return ClaimLoop(in_flight, queue, Fleet(client, "w1"), cache, pool, lambda: False)


def submit(client: fakeredis.FakeRedis, count: int) -> None:
    args: list[Any] = [10_000, 1 << 30, 60, count]
    for _ in range(count):
        job, options = EmbedJob(model="fake", inputs=("hello",)), SubmitOptions()
        fields = record.encode(job, options, "")
        args += [record.new_id(), record.queue_of(job, options), "", "", "", 40, len(fields), *fields]
    client.register_script(script("admit"))(args=args)


def test_it_asks_again_at_once_while_there_is_more(client: fakeredis.FakeRedis, loop: ClaimLoop):
    submit(client, 400)
    assert loop._claim() is True


def test_it_does_not_ask_again_where_a_claim_left_nothing(client: fakeredis.FakeRedis, loop: ClaimLoop):
    submit(client, 3)
    assert loop._claim() is False
    assert len(loop._in_flight) == 3
