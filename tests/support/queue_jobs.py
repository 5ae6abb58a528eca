"""Jobs of one embedder, and how a worker claims and finishes them: for tests of the queue without a worker."""

import fakeredis

from jobs.embed import EmbedJob, EmbedResult
from jobs.models import ModelInfo
from jobs.stats import WorkerStats
from jobs.store import keys
from workers.queue.client import WorkerQueue
from workers.queue.execution import Claim, Outcome, QueueCapacity

INFO = ModelInfo(id="m", task="embed", created=1, dimensions=1, max_tokens=512)
WRITER = ModelInfo(id="w", task="generate", created=1, dimensions=0, max_tokens=512)
RESULT = EmbedResult(dimensions=1, vectors=b"\0\0\x80\x3f", tokens=(3,))
QUEUE = "embed:m:default"


def job(text: str = "hello") -> EmbedJob:
    return EmbedJob(model="m", inputs=(text,))


def announce(worker_queue: WorkerQueue, *models: ModelInfo) -> None:
    ids = tuple(info.id for info in models)
    stats = WorkerStats(name="w1", models=ids, seen_at=4e9, jobs_in_hand=0, drain_rate={QUEUE: 2.0})
    worker_queue.announce(stats, models)


def claim_all(worker_queue: WorkerQueue, *, suspect: bool = False, lane: str = "default"):
    """All that is fresh; or the next suspect, in a worker without jobs."""
    capacities = [QueueCapacity(f"embed:m:{lane}", 10_000, 100)]
    if suspect:
        assert worker_queue.claim(capacities, max_jobs=100, is_idle=True).has_turn
    taken = worker_queue.claim(capacities, max_jobs=100, suspect=suspect)
    return taken.claims, taken.has_turn


def crashes(server: fakeredis.FakeServer, *claims: Claim) -> list[object]:
    """How often workers died with each of these jobs, as their records say it."""
    redis = fakeredis.FakeRedis(server=server)
    return [redis.hget(keys.job(claim.id), "mlxq_crashes") for claim in claims]


def finish(worker_queue: WorkerQueue, claim) -> tuple[set[str], list[str]]:
    return worker_queue.finish([Outcome(claim, "finished", 60, worker_queue.store(claim, RESULT))], 0.1)
