"""Scores against transformers' and CrossEncoder's (tests/checkpoints/reference_rerank.py made them)."""

from typing import Any

import numpy as np
import pytest

from jobs.errors import JobError
from jobs.rerank import RerankJob
from tests.checkpoints.rerankers import NAMES, make
from tests.checkpoints.texts import OVERLONG, PAIRS
from tests.support.folders import GOLDEN
from workers.models.open import open_reranker
from workers.models.resolve import LocalModel
from workers.runners.contract import loaded
from workers.runners.rerank.item import RerankItem
from workers.runners.rerank.runner import RerankRunner

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def runners(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RerankRunner]:
    folder = tmp_path_factory.mktemp("checkpoints")
    return {name: loaded(open_reranker(LocalModel(name, make(name, folder / name)))) for name in NAMES}


def job_of(query: str, document: str, **options: Any) -> RerankJob:
    return RerankJob(model="any", query=query, documents=(document,), **options)


def items_of(runner: RerankRunner, jobs: list[RerankJob]) -> list[RerankItem]:
    items: list[RerankItem] = []
    for found in runner.prepare(jobs):
        assert not isinstance(found, JobError)
        items += found
    return items


def logits(runner: RerankRunner, items: list[RerankItem]) -> np.ndarray:
    """Of one batch."""
    found = runner.launch(items)()
    assert not any(isinstance(each, JobError) for each in found)
    return np.array(found)


def farthest(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max())


@pytest.mark.parametrize("name", NAMES)
def test_logits_equal_the_reference_alone_and_in_a_mixed_batch(runners: dict[str, RerankRunner], name: str):
    golden, runner = np.load(GOLDEN / f"rerank-{name}.npz"), runners[name]
    items = items_of(runner, [job_of(*pair, truncate=True) for pair in (*PAIRS, OVERLONG)])
    assert [item.length for item in items] == golden["tokens"].tolist()

    mixed = logits(runner, items)
    alone = np.concatenate([logits(runner, [item]) for item in items])

    assert farthest(mixed, golden["logits"]) < TOLERANCE
    assert farthest(alone, golden["logits"]) < TOLERANCE
    assert farthest(mixed, alone) < TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_order_and_neighbours_do_not_change_a_logit(runners: dict[str, RerankRunner], name: str):
    items = items_of(runners[name], [job_of(*pair) for pair in PAIRS])
    expected = np.load(GOLDEN / f"rerank-{name}.npz")["logits"]
    random = np.random.default_rng(5)
    for size in (2, 3, 5, 8):
        chosen = random.permutation(len(items))[:size]
        assert farthest(logits(runners[name], [items[i] for i in chosen]), expected[chosen]) < TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_documents_of_one_job_score_as_the_reference_does_for_each(
    runners: dict[str, RerankRunner], name: str
):
    """The way from a job to its scores: the activation is the one that CrossEncoder, or the model's card, uses."""
    runner, expected = runners[name], np.load(GOLDEN / f"rerank-{name}.npz")["scores"]
    for query in dict.fromkeys(query for query, _ in PAIRS):
        places = [n for n, pair in enumerate(PAIRS) if pair[0] == query]
        job = RerankJob(model=name, query=query, documents=tuple(PAIRS[n][1] for n in places))
        items = items_of(runner, [job])
        result = runner.assemble(job, items, runner.run(items))
        assert farthest(np.frombuffer(result.scores, "<f4"), expected[places]) < TOLERANCE
        assert result.tokens == tuple(item.length for item in items)


def test_instruction_takes_the_default_ones_place(runners: dict[str, RerankRunner]):
    golden, runner = np.load(GOLDEN / "rerank-qwen3-reranker.npz"), runners["qwen3-reranker"]
    items = items_of(runner, [job_of(*pair, instruction="Find songs of the sea") for pair in PAIRS])
    assert farthest(logits(runner, items), golden["logits.told"]) < TOLERANCE
