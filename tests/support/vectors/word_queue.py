"""A queue whose models know words alone: texts that share words have similar vectors."""

import hashlib
import re
from array import array
from collections.abc import Sequence

import numpy as np

from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import EmbedJob, EmbedResult
from jobs.job import Job, Result, SubmitOptions, Ticket
from jobs.models import ModelInfo, model_for
from jobs.rerank import RerankJob, RerankResult
from tests.support.memory_rerank import memory_ranking

DIMENSIONS = 64
TEXT_MODEL = ModelInfo("words", "embed", 0, DIMENSIONS, 512, digest="w1")
PAGE_MODEL = ModelInfo(
    "patches", "embed", 0, DIMENSIONS, 512, abilities=("multi_vector", "vision"), digest="p1"
)
RERANKER = ModelInfo("judge", "rerank", 0, 0, 512)
SEEING_RERANKER = ModelInfo("seeing-judge", "rerank", 0, 0, 512, abilities=("vision",))
BEFORE, BEHIND = ("<query>", ":"), ("<end>",) * 3
"""What the page model puts around a query."""


def word_vector(word: str) -> np.ndarray:
    """Of unit length, nearly at right angles to any other word's: (dimensions,)."""
    seed = int.from_bytes(hashlib.sha256(word.lower().encode()).digest()[:8])
    vector = np.random.default_rng(seed).normal(size=DIMENSIONS).astype(np.float32)
    return vector / np.linalg.norm(vector)


def text_vector(text: str) -> np.ndarray:
    """The direction of the sum of its words' vectors: (dimensions,)."""
    total = np.sum([word_vector(each) for each in re.findall(r"\w+", text) or [""]], axis=0)
    return (total / np.linalg.norm(total)).astype(np.float32)


def query_rows(text: str) -> np.ndarray:
    """A long word has two vectors: (vectors, dimensions)."""
    tokens = [part for word in text.split() for part in ((word, f"{word}+") if len(word) > 6 else (word,))]
    return np.stack([word_vector(each) for each in (*BEFORE, *tokens, *BEHIND)])


class WordQueue:
    """Does a job as soon as it is waited for. done: those that were, in order."""

    def __init__(self, *models: ModelInfo) -> None:
        self.served = models or (TEXT_MODEL, PAGE_MODEL, RERANKER, SEEING_RERANKER)
        self.done: list[Job] = []

    async def submit(self, job: Job, options: SubmitOptions) -> Ticket:
        await self.model(job.model)
        self.done.append(job)
        return Ticket(f"{len(self.done) - 1}", created=True)

    async def wait(self, job_id: str, timeout_s: float) -> Result:
        job = self.done[int(job_id)]
        if isinstance(job, EmbedJob):
            return _embedded(job)
        assert isinstance(job, RerankJob)
        return _ranked(job)

    async def cancel(self, job_id: str) -> bool:
        return False

    async def model(self, name: str, task: str | None = None) -> ModelInfo:
        return model_for(name, self.served, task)

    async def models(self) -> tuple[ModelInfo, ...]:
        return tuple(self.served)


def _embedded(job: EmbedJob) -> EmbedResult:
    texts = [_text_of(each) for each in job.inputs]
    if job.model == PAGE_MODEL.id:
        rows = [query_rows(each) for each in texts]
        return EmbedResult(
            DIMENSIONS,
            np.concatenate(rows).tobytes(),
            tuple(map(len, rows)),
            counts=tuple(map(len, rows)),
        )
    return EmbedResult(
        DIMENSIONS, np.stack([text_vector(each) for each in texts]).tobytes(), tuple(map(len, texts))
    )


def _text_of(given: object) -> str:
    """An image reads as the text that it was made of."""
    if isinstance(given, MixedInput):
        images = [part.data.decode() for part in given.parts if isinstance(part, ImagePart)]
        return " ".join([*(part.text for part in given.parts if isinstance(part, TextPart)), *images])
    assert isinstance(given, str)
    return given


def _ranked(job: RerankJob) -> RerankResult:
    """An image is the best there is."""
    ranked = memory_ranking(job, RERANKER)
    scores = array("f", ranked.scores)
    for index, document in enumerate(job.documents):
        if isinstance(document, Sequence) and any(isinstance(part, ImagePart) for part in document):
            scores[index] = 9.0
    return RerankResult(scores.tobytes(), ranked.tokens)
