"""A result that is too large fails its own job, and holds up nobody."""

import pytest
import redis

from jobs.errors import ResultTooLarge
from jobs.job import SubmitOptions
from jobs.store.redis_server import RedisServer
from tests.support.fake_runner import DIMENSIONS, FakeRunner, expected_vector
from tests.support.running_worker import SETTINGS, job, open_queue, run, running_worker, vectors
from tests.support.waiting import PATIENCE_S

LIMIT_BYTES = 1 << 16
MANY = LIMIT_BYTES // (4 * DIMENSIONS) + 1


async def test_a_result_over_the_limit_fails_its_job_and_the_worker_goes_on(
    redis_server: RedisServer, redis_client: redis.Redis, runner: FakeRunner
):
    settings = SETTINGS.model_copy(update={"max_result_bytes": LIMIT_BYTES})
    with running_worker(redis_server.url, runner, settings):
        async with open_queue(redis_server.url) as queue:  # which allows more
            ticket = await queue.submit(job(*["a"] * MANY), SubmitOptions(retries=3))
            with pytest.raises(ResultTooLarge, match=f"{LIMIT_BYTES:,}"):
                await queue.wait(ticket.id, PATIENCE_S)
            assert (await queue.view(ticket.id)).attempts == 1
            assert vectors(await run(queue, "next")) == [expected_vector("next")]
    assert not redis_client.keys("mlxq:blob:*")
