"""How far a quantised embedder or reranker agrees with the full one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import JobError
from jobs.rerank import RerankJob, RerankResult
from jobs.settings import Settings
from workers.models.open import open_model
from workers.models.resolve import LocalModel
from workers.pull.quantise.texts import DOCUMENTS, QUERIES
from workers.runners.contract import Runner, loaded

Array = NDArray[np.float32]

BATCH_ITEMS = 8


class Agreement(msgspec.Struct, frozen=True, omit_defaults=True):
    """On the built-in texts."""

    same_first: int
    """Queries whose best document is the same."""
    queries: int
    rank_correlation: float
    """Spearman's, of the documents' order, the mean over the queries."""
    cosine_mean: float | None = None
    """Of vectors of the same text. None for a reranker, which makes none."""
    cosine_min: float | None = None

    def sentence(self) -> str:
        """For people."""
        cosine = f"cosine {self.cosine_mean:.4f} (least {self.cosine_min:.4f}), " if self.cosine_mean else ""
        return (
            f"quantised against full: {cosine}same first document for {self.same_first} of {self.queries} queries, "
            f"rank correlation {self.rank_correlation:.3f}"
        )

    def figures(self) -> dict[str, float]:
        """For programs."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


class Measured(msgspec.Struct, frozen=True):
    """What one model makes of the texts."""

    scores: Array
    """(queries, documents that it was compared with)"""
    vectors: Array | None
    """(vectors, dimensions), of all texts; None for a reranker."""


def measure(folder: Path, task: Literal["embed"] | None) -> Measured:
    """Loads the model and drops it again. task: as in the catalogue. Raises JobError."""
    runner = loaded(open_model(LocalModel(folder.name, folder, task=task), Settings()))
    try:
        return _measure(runner)
    finally:
        runner.unload()


def open_only(folder: Path) -> None:
    """Every weight accounted for, and none read. Raises JobError."""
    open_model(LocalModel(folder.name, folder), Settings())


def _measure(runner: Runner) -> Measured:
    name = runner.info.id
    if runner.info.task == "rerank":
        jobs = [RerankJob(name, query, _ranked(at), truncate=True) for at, query in enumerate(QUERIES)]
        scores = [
            _floats(result.scores) for result in _results(runner, jobs) if isinstance(result, RerankResult)
        ]
        return Measured(np.stack(scores), None)
    asked = EmbedJob(name, QUERIES, truncate="end", input_type="query")
    answers = EmbedJob(name, DOCUMENTS, truncate="end", input_type="document")
    results = [each for each in _results(runner, [asked, answers]) if isinstance(each, EmbedResult)]
    queries, documents = (_vectors_of_each(each) for each in results)
    scores = [[_late_interaction(query, document) for document in documents] for query in queries]
    return Measured(np.array(scores, np.float32), np.concatenate([*queries, *documents]))


def _ranked(query: int) -> tuple[str, ...]:
    """Documents on the query's subject and on the next one: a reranker reads each pair anew, which takes long."""
    each = len(DOCUMENTS) // len(QUERIES)
    return (DOCUMENTS * 2)[query * each : (query + 2) * each]


def _results(runner: Any, jobs: Sequence[Any]) -> list[Any]:
    """Raises JobError."""
    found: list[Any] = []
    for job, prepared in zip(jobs, runner.prepare(jobs), strict=True):
        if isinstance(prepared, JobError):
            raise prepared
        items = sorted(range(len(prepared)), key=lambda at: prepared[at].length)
        outcomes: dict[int, Any] = {}
        for start in range(0, len(items), BATCH_ITEMS):
            batch = items[start : start + BATCH_ITEMS]
            computed = runner.launch([prepared[at] for at in batch])()
            outcomes |= dict(zip(batch, computed, strict=True))
        found.append(runner.assemble(job, prepared, [outcomes[at] for at in range(len(prepared))]))
    return found


def compare(full: Measured, quantised: Measured) -> Agreement:
    """Both of the same texts."""
    first = full.scores.argmax(axis=1) == quantised.scores.argmax(axis=1)
    cosines = None
    if full.vectors is not None and quantised.vectors is not None:
        cosines = (full.vectors * quantised.vectors).sum(axis=1)  # all of unit length
    return Agreement(
        int(first.sum()),
        len(first),
        float(np.mean([_spearman(*rows) for rows in zip(full.scores, quantised.scores, strict=True)])),
        None if cosines is None else float(cosines.mean()),
        None if cosines is None else float(cosines.min()),
    )


def _floats(raw: bytes) -> Array:
    return np.frombuffer(raw, dtype="<f4")


def _vectors_of_each(result: EmbedResult) -> list[Array]:
    """(vectors, dimensions) of each input."""
    vectors = _floats(result.vectors).reshape(-1, result.dimensions)
    return np.split(vectors, np.cumsum(result.counts or [1] * len(vectors))[:-1])


def _late_interaction(query: Array, document: Array) -> float:
    """Of single vectors it is their cosine."""
    return float((query @ document.T).max(axis=1).sum())


def _spearman(left: Array, right: Array) -> float:
    left, right = (np.argsort(np.argsort(each)).astype(np.float32) for each in (left, right))
    return float(np.corrcoef(left, right)[0, 1])
