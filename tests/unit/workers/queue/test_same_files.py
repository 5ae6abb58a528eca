"""Workers that serve models of one name: all from the same files."""

from collections.abc import Callable

import fakeredis
import pytest

from jobs.errors import InvalidInput
from jobs.models import ModelInfo
from jobs.stats import WorkerStats
from jobs.store import keys
from workers.queue.announce_start import register_models
from workers.queue.client import WorkerQueue
from workers.queue.fleet import Fleet, OtherFiles

LEASE_S = 10.0


def model(digest: str, name: str = "m") -> ModelInfo:
    return ModelInfo(id=name, task="embed", created=1, dimensions=1, max_tokens=512, digest=digest)


@pytest.fixture
def server() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis(server=fakeredis.FakeServer())


@pytest.fixture
def first(server: fakeredis.FakeRedis) -> WorkerQueue:
    """A worker that lives and serves m from the files a."""
    assert Fleet(server, "w1").register([model("a")], LEASE_S) is None
    worker = WorkerQueue(server, "w1", lease_s=LEASE_S, max_crashes=3)
    worker.announce(
        WorkerStats(name="w1", models=("m",), seen_at=0, jobs_in_hand=0, drain_rate={}), [model("a")]
    )
    return worker


def test_the_same_files_are_served_together(first: WorkerQueue, server: fakeredis.FakeRedis):
    assert Fleet(server, "w2").register([model("a")], LEASE_S) is None
    assert Fleet(server, "w1").register([model("a")], LEASE_S) is None


def test_other_files_are_refused_and_other_names_are_not(first: WorkerQueue, server: fakeredis.FakeRedis):
    second = Fleet(server, "w2")
    assert second.register([model("b", "fine"), model("b")], LEASE_S) == OtherFiles("m", "w1", "a")
    assert not server.exists("mlxq:digests:fine")  # all or nothing
    assert second.register([model("b", "m2")], LEASE_S) is None
    assert Fleet(server, "w1").register([model("a")], LEASE_S) is None


def test_what_is_not_known_is_not_compared(first: WorkerQueue, server: fakeredis.FakeRedis):
    assert Fleet(server, "w2").register([model("")], LEASE_S) is None


def test_a_worker_that_is_gone_does_not_count(first: WorkerQueue, server: fakeredis.FakeRedis):
    first.leave()
    server.delete(keys.STARTING)
    assert Fleet(server, "w2").register([model("b")], LEASE_S) is None
    assert server.hkeys("mlxq:digests:m") == [b"w2"]


def test_of_two_that_start_at_once_one_is_told(server: fakeredis.FakeRedis):
    assert Fleet(server, "w1").register([model("a")], LEASE_S) is None
    assert Fleet(server, "w2").register([model("b")], LEASE_S) == OtherFiles("m", "w1", "a")


class Clock:
    """Time that passes when somebody sleeps. then: called at each sleep."""

    def __init__(self, then: Callable[[], object]) -> None:
        self.now = 0.0
        self._then = then

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self._then()


def test_a_worker_that_starts_is_refused_with_what_to_do(first: WorkerQueue, server: fakeredis.FakeRedis):
    clock = Clock(lambda: None)
    with pytest.raises(InvalidInput) as raised:
        register_models(Fleet(server, "w2"), [model("b")], LEASE_S, clock=clock, sleep=clock.sleep)
    assert raised.value.message.startswith(
        "The worker w1 serves m from other files (digest a) than those here (digest b)"
    )
    for way in ("Give all workers the same files", "under another name", "stop w1 first"):
        assert way in raised.value.message
    assert LEASE_S < clock.now < LEASE_S + 3
    assert not server.hexists(keys.MODELS, "m2")


def test_a_worker_that_has_died_is_waited_out(first: WorkerQueue, server: fakeredis.FakeRedis):
    def die() -> None:
        first.leave()
        server.delete(keys.STARTING)

    clock = Clock(die)
    register_models(Fleet(server, "w2"), [model("b")], LEASE_S, clock=clock, sleep=clock.sleep)
    assert clock.now < LEASE_S
    assert server.hexists(keys.MODELS, "m")  # jobs are taken while it loads
