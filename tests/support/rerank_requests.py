"""What tests of reranking share: three documents, the fake's scores of them, and what it was asked."""

import httpx

from jobs.rerank import RerankJob
from tests.support.memory_queue import MemoryQueue

QUERY = "red fox"
DOCUMENTS = ["a blue whale", "the red fox", "a red car"]
RANKING = [(1, 1.0), (2, 0.5), (0, 0.0)]
"""index and score."""
TOKENS = 15


def ranking(reply: httpx.Response) -> list[tuple[int, float]]:
    """Index and score of each document, in the order of a reply as Jina and Cohere write it."""
    return [(each["index"], each["relevance_score"]) for each in reply.json()["results"]]


def last_reranking(queue: MemoryQueue) -> RerankJob:
    job = queue.submitted[-1][0]
    assert isinstance(job, RerankJob)
    return job
