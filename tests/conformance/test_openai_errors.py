"""Errors of the queue, as OpenAI's own client raises them."""

import openai
import pytest

from jobs.errors import InternalError, JobError, NoWorker, Overloaded, QueueUnavailable, ResultTimeout
from tests.conformance.conftest import Serve
from tests.support.memory_queue import MODEL, MemoryQueue


def embed(base_url: str, max_retries: int = 0) -> None:
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key="unused", max_retries=max_retries) as client:
        client.embeddings.create(model=MODEL.id, input="a")


def test_a_full_queue_is_a_rate_limit_with_a_time_to_come_back(serve: Serve):
    with pytest.raises(openai.RateLimitError) as caught:
        embed(serve(MemoryQueue(limit=0)))
    assert caught.value.response.headers["retry-after"] == "7"
    assert (caught.value.code, caught.value.type) == ("queue_full", "rate_limit_error")


@pytest.mark.parametrize(
    ("error", "status"),
    [(QueueUnavailable(), 503), (NoWorker(), 503), (ResultTimeout(), 504), (InternalError(), 500)],
    ids=lambda value: getattr(value, "code", None),
)
def test_a_fault_of_the_service_is_a_server_error(serve: Serve, error: JobError, status: int):
    with pytest.raises(openai.InternalServerError) as caught:
        embed(serve(MemoryQueue(refusal=error)))
    assert caught.value.status_code == status
    assert caught.value.code == error.code


def test_the_client_comes_back_by_itself_when_told(serve: Serve):
    class FullOnce(MemoryQueue):
        refused = 0

        async def submit(self, job, options):
            if not self.refused:
                self.refused += 1
                raise Overloaded(retry_after_s=1)
            return await super().submit(job, options)

    queue = FullOnce()
    embed(serve(queue), max_retries=1)
    assert queue.refused == 1
    assert len(queue.submitted) == 1
