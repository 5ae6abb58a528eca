"""Rerank jobs through the whole worker and a real Redis."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
import redis

from jobs.errors import InputTooLong
from jobs.rerank import RerankJob, RerankResult
from jobs.settings import Settings
from jobs.store.redis_server import RedisServer
from tests.checkpoints.rerankers import make
from tests.checkpoints.texts import PAIRS
from tests.support.folders import GOLDEN
from tests.support.running_worker import INTERACTIVE, working_queue
from workers.models.open import load_runner
from workers.runners.rerank.runner import RerankRunner

NAME = "xlm-roberta"


def jobs() -> list[tuple[RerankJob, list[int]]]:
    """Each with the places of its pairs among PAIRS."""
    places = {query: [n for n, pair in enumerate(PAIRS) if pair[0] == query] for query, _ in PAIRS}
    return [
        (RerankJob(model=NAME, query=query, documents=tuple(PAIRS[n][1] for n in found)), found)
        for query, found in places.items()
    ]


async def test_jobs_share_batches_and_an_overlong_document_fails_its_own(
    redis_server: RedisServer,
    redis_client: redis.Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    expected = np.load(GOLDEN / f"rerank-{NAME}.npz")["scores"]
    runner = load_runner(str(make(NAME, tmp_path / NAME)), Settings())
    assert isinstance(runner, RerankRunner)
    sizes: list[int] = []
    launch = runner.launch

    def noting(items):
        sizes.append(len(items))
        return launch(items)

    monkeypatch.setattr(runner, "launch", noting)
    async with working_queue(redis_server.url, runner) as queue:

        async def scores(asked: RerankJob) -> np.ndarray:
            ticket = await queue.submit(asked, INTERACTIVE)
            found = await queue.wait(ticket.id, 60)
            assert isinstance(found, RerankResult)
            return np.frombuffer(found.scores, "<f4")

        asked = jobs() * 4
        overlong = RerankJob(model=NAME, query="red fox", documents=("dog", "fox " * 600, "cat"))
        *found, failed = await asyncio.gather(
            *[scores(job) for job, _ in asked], scores(overlong), return_exceptions=True
        )
        for each, (_, places) in zip(found, asked, strict=True):
            assert isinstance(each, np.ndarray)
            assert np.abs(each - expected[places]).max() < 1e-4
        assert isinstance(failed, InputTooLong)
        assert failed.param == "documents" and "Document 1" in failed.message
        assert max(sizes) > max(len(places) for _, places in asked)
