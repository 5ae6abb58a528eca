"""Workers are told to unload a model, and those that do not listen are told apart from dead ones."""

import contextlib
from collections.abc import AsyncGenerator

import fakeredis
import pytest

from jobs.commands import worker_memory
from jobs.commands.worker_memory import RedisWorkerMemory, unload_target
from jobs.errors import NoWorker
from jobs.stats import WorkerStats
from jobs.store import keys

SERVES_IT = WorkerStats(name="one", models=("a",), seen_at=1, jobs_in_hand=0, drain_rate={})
SERVES_ANOTHER = WorkerStats(name="other", models=("b",), seen_at=1, jobs_in_hand=0, drain_rate={})


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_memory, "UNHEARD_S", 0.1)
    monkeypatch.setattr(worker_memory, "RETRY_S", 0.02)


@contextlib.asynccontextmanager
async def reaching() -> AsyncGenerator[None]:
    yield


def memory_of(redis: fakeredis.FakeAsyncRedis, *looks: list[WorkerStats]) -> RedisWorkerMemory:
    """looks: what is found at each look at the live workers."""
    seen = iter(looks)

    async def live_workers() -> list[WorkerStats]:
        return next(seen)

    return RedisWorkerMemory(redis, live_workers, reaching)


async def test_each_worker_that_serves_the_model_is_told():
    redis = fakeredis.FakeAsyncRedis()
    async with redis.pubsub() as listening:  # pyright: ignore[reportUnknownMemberType]
        await listening.subscribe(keys.worker_commands("one"), keys.worker_commands("other"))
        await memory_of(redis, [SERVES_IT, SERVES_ANOTHER]).unload("a")
        found = [await listening.get_message(timeout=0.1) for _ in range(4)]
    told = [(each["channel"], each["data"]) for each in found if each and each["type"] == "message"]
    assert told == [(b"rq:pubsub:one", b'{"command":"mlxq-unload","model":"a"}')]


async def test_a_worker_that_lives_and_does_not_listen_is_named():
    later = WorkerStats(name="one", models=("a",), seen_at=2, jobs_in_hand=0, drain_rate={})
    with pytest.raises(NoWorker, match="The worker one takes no commands now"):
        await memory_of(fakeredis.FakeAsyncRedis(), [SERVES_IT], [later]).unload("a")


@pytest.mark.parametrize("found", [[], [SERVES_IT]])
async def test_a_worker_that_died_meanwhile_has_nothing_in_memory(found: list[WorkerStats]):
    await memory_of(fakeredis.FakeAsyncRedis(), [SERVES_IT], found).unload("a")


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {},
        {"command": "stop-job", "model": "a"},
        {"model": "a"},
        {"command": "mlxq-unload", "model": 1},
    ],
)
def test_other_commands_unload_nothing(payload: object):
    assert unload_target(payload) is None
    assert unload_target({"command": "mlxq-unload", "model": "a", "created_at": "now"}) == "a"
