"""Reranking with a multi-vector model, against scores worked out from the reference's vectors."""

from pathlib import Path

import numpy as np
import pytest
import redis

from jobs.content import ImagePart
from jobs.embed import EmbedJob
from jobs.errors import InvalidInput
from jobs.rerank import Passage, RerankJob, RerankResult
from jobs.settings import Settings
from jobs.store.redis_server import RedisServer
from tests.checkpoints.colqwen import DOCUMENTS, IMAGE_SIZES, QUERIES, make, png
from tests.support.folders import GOLDEN
from tests.support.running_worker import INTERACTIVE, embedded, working_queue
from workers.models.open import load_runner

REFERENCE = np.load(GOLDEN / "colqwen2_5.npz")
VECTORS = np.split(REFERENCE["vectors"].astype(np.float64), np.cumsum(REFERENCE["counts"])[:-1])
QUERY_VECTORS, DOCUMENT_VECTORS = VECTORS[: len(QUERIES)], VECTORS[len(QUERIES) :]
VISION_INPUTS: tuple[Passage, ...] = (
    *DOCUMENTS,
    *((ImagePart(png(number)),) for number in range(len(IMAGE_SIZES))),
)


def best_matches(query: np.ndarray) -> list[float]:
    """One score per document: for each of the query's vectors, its largest cosine."""
    return [
        sum(max(float(word @ other) for other in vectors) for word in query) for vectors in DOCUMENT_VECTORS
    ]


async def test_documents_and_images_are_ranked_by_their_best_matches(
    redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path
):
    runner = load_runner(str(make(tmp_path / "m")), Settings())
    assert runner.info.tasks == ("embed", "rerank")
    async with working_queue(redis_server.url, runner) as queue:
        for query, vectors in zip(QUERIES, QUERY_VECTORS, strict=True):
            ticket = await queue.submit(RerankJob("m", query, VISION_INPUTS), INTERACTIVE)
            result = await queue.wait(ticket.id, 60)
            assert isinstance(result, RerankResult)
            scores = np.frombuffer(result.scores, dtype="<f4")
            # A query of twenty tokens adds up twenty cosines, each right to 5e-4 (images are scaled by Pillow).
            assert scores == pytest.approx(best_matches(vectors), abs=len(vectors) * 5e-4)
            assert result.tokens == tuple(len(vectors) + len(each) for each in DOCUMENT_VECTORS)
        ticket = await queue.submit(EmbedJob("m", QUERIES), INTERACTIVE)
        assert embedded(await queue.wait(ticket.id, 60)).counts == tuple(map(len, QUERY_VECTORS))


@pytest.mark.parametrize(
    ("job", "complaint", "param"),
    [
        (RerankJob("m", "q", ("d",), instruction="find"), "takes no instruction", "instruction"),
        (RerankJob("m", "q", ()), "no document", "documents"),
        (RerankJob("m", "q", ("good", (ImagePart(b"no image"),))), "Document 1: ", "documents"),
        (RerankJob("m", (ImagePart(b"no image"),), ("d",)), "The query: ", "query"),
    ],
)
def test_what_cannot_be_ranked_is_refused(tmp_path: Path, job: RerankJob, complaint: str, param: str):
    runner = load_runner(str(make(tmp_path / "m")), Settings())
    [found] = runner.prepare([job])
    assert isinstance(found, InvalidInput)
    assert complaint in found.message
    assert found.param == param
