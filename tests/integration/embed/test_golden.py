"""Vectors against sentence-transformers' (tests/checkpoints/reference.py made them), alone and in mixed batches."""

from collections.abc import Sequence

import numpy as np
import pytest

from jobs.embed import EmbedJob
from jobs.errors import JobError
from tests.checkpoints.make import NAMES, make
from tests.checkpoints.texts import MINILM_TEXTS, SMALL_TEXTS
from tests.support.folders import GOLDEN
from workers.models.open import open_embedder
from workers.models.resolve import LocalModel, resolve
from workers.runners.contract import BatchRunner, loaded
from workers.runners.embed.runner import EmbedItem

PROMPTED = [(name, "query") for name in ("modernbert", "qwen3", "gemma3")]


@pytest.fixture(scope="module")
def runners(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BatchRunner]:
    folder = tmp_path_factory.mktemp("checkpoints")
    small = {name: loaded(open_embedder(LocalModel(name, make(name, folder / name)))) for name in NAMES}
    return {**small, "all-MiniLM-L6-v2": loaded(open_embedder(resolve("all-MiniLM-L6-v2")))}


def vectors(runner: BatchRunner, items: Sequence[EmbedItem]) -> np.ndarray:
    """Of one batch, (items, dimensions)."""
    found = runner.launch(items)()
    assert not any(isinstance(each, JobError) for each in found)
    return np.array(found)


@pytest.mark.parametrize(
    ("name", "prompt"), [*((name, "") for name in (*NAMES, "all-MiniLM-L6-v2")), *PROMPTED]
)
def test_vectors_equal_the_reference_alone_and_in_a_mixed_batch(
    runners: dict[str, BatchRunner], name: str, prompt: str
):
    golden = np.load(GOLDEN / f"{name}.npz")
    texts = SMALL_TEXTS if name in NAMES else MINILM_TEXTS
    runner = runners[name]
    [items] = runner.prepare([EmbedJob(model=name, inputs=texts, prompt_name=prompt or None)])
    assert isinstance(items, list)
    assert [item.length for item in items] == golden[f"tokens.{prompt}"].tolist()

    expected = golden[f"vectors.{prompt}"]
    mixed = vectors(runner, items)
    alone = np.concatenate([vectors(runner, [item]) for item in items])

    assert cosines(mixed, expected).min() >= 0.99999
    assert cosines(alone, expected).min() >= 0.99999
    assert cosines(mixed, alone).min() >= 0.99999


@pytest.mark.parametrize("name", NAMES)
def test_order_and_neighbours_do_not_change_a_vector(runners: dict[str, BatchRunner], name: str):
    [items] = runners[name].prepare([EmbedJob(model=name, inputs=SMALL_TEXTS)])
    assert isinstance(items, list)
    expected = np.load(GOLDEN / f"{name}.npz")["vectors."]
    random = np.random.default_rng(3)
    for size in (2, 3, 5, 8):
        chosen = random.permutation(len(items))[:size]
        batch = vectors(runners[name], [items[i] for i in chosen])
        assert cosines(batch, expected[chosen]).min() >= 0.99999


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
