import httpx

from api.dialects.mlxq.health import totals
from jobs.errors import QueueUnavailable
from jobs.stats import LaneStats, QueueStats
from tests.support.memory_queue import MemoryQueue
from tests.unit.api.conftest import Connect


async def test_a_living_process_is_healthy_even_without_redis(connect: Connect):
    reply = await connect(MemoryQueue(refusal=QueueUnavailable())).get("/health")
    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


async def test_the_root_says_that_something_runs_here(connect: Connect):
    client = connect(MemoryQueue(refusal=QueueUnavailable()))
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    reply = await client.get("/", headers=browser)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert reply.text.startswith("mlxq is running.")
    reply = await client.get("/")
    assert (reply.status_code, reply.text) == (200, "Ollama is running")
    asked = await client.head("/")
    assert (asked.status_code, asked.headers["content-length"]) == (200, str(len(reply.text)))


async def test_a_live_worker_makes_the_service_ready(client: httpx.AsyncClient):
    reply = await client.get("/ready")
    assert (reply.status_code, reply.json()) == (200, {"status": "ready"})


async def test_without_a_worker_the_service_is_not_ready(connect: Connect):
    reply = await connect(MemoryQueue(models=())).get("/ready")
    assert (reply.status_code, reply.json()) == (503, {"status": "not ready", "reason": "No live worker."})


async def test_without_redis_the_service_is_not_ready(connect: Connect):
    reply = await connect(MemoryQueue(refusal=QueueUnavailable())).get("/ready")
    assert reply.status_code == 503
    assert "Redis" in reply.json()["reason"]


async def test_stats_show_totals_queues_and_workers(connect: Connect):
    queue = MemoryQueue(held=True, limit=10)
    client = connect(queue)
    for _ in range(3):
        await client.post("/v1/jobs", json={"task": "embed", "model": "org/model", "input": "a"})
    stats = (await client.get("/v1/queue/stats")).json()
    assert stats["status"] == "ok"
    assert stats["queue_stats"] == {
        "running": True,
        "queue_size": 3,
        "max_queue_size": 10,
        "active_requests": 0,
        "max_concurrency": 1,
    }
    assert stats["queues"][0]["queued"] == 3
    assert stats["workers"][0]["name"] == "memory"


def lane_stats(*, queued: int, started: int, scheduled: int) -> LaneStats:
    return LaneStats(
        queue="q",
        task="embed",
        model="m",
        lane="bulk",
        queued=queued,
        started=started,
        scheduled=scheduled,
        finished=0,
        failed=0,
        limit=100,
        drain_rate=0.0,
    )


def test_totals_add_up_all_queues():
    queues = (
        lane_stats(queued=1, started=2, scheduled=4),
        lane_stats(queued=8, started=16, scheduled=32),
    )
    found = totals(QueueStats(queues=queues, workers=()), queue_limit=5)
    assert (found.queue_size, found.max_queue_size, found.active_requests) == (45, 200, 18)
    assert not found.running


def test_before_the_first_queue_the_limit_is_the_setting():
    assert totals(QueueStats(queues=(), workers=()), queue_limit=5).max_queue_size == 5
