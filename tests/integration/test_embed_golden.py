"""Vectors against sentence-transformers' (tests/checkpoints/reference.py made them), alone and in mixed batches."""

from pathlib import Path

import numpy as np
import pytest

from jobs.types import EmbedJob
from tests.checkpoints.make import NAMES, make
from tests.checkpoints.texts import MINILM_TEXTS, SMALL_TEXTS
from workers.models import load_runner
from workers.runners.base import Runner

GOLDEN = Path(__file__).parents[1] / "checkpoints" / "golden"
PROMPTED = [(name, "query") for name in ("modernbert", "qwen3", "gemma3")]


@pytest.fixture(scope="module")
def runners(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Runner]:
    folder = tmp_path_factory.mktemp("checkpoints")
    small = {name: load_runner(str(make(name, folder / name))) for name in NAMES}
    return {**small, "all-MiniLM-L6-v2": load_runner("all-MiniLM-L6-v2")}


@pytest.mark.parametrize(
    ("name", "prompt"), [*((name, "") for name in (*NAMES, "all-MiniLM-L6-v2")), *PROMPTED]
)
def test_vectors_equal_the_reference_alone_and_in_a_mixed_batch(
    runners: dict[str, Runner], name: str, prompt: str
):
    golden = np.load(GOLDEN / f"{name}.npz")
    texts = SMALL_TEXTS if name in NAMES else MINILM_TEXTS
    runner = runners[name]
    [items] = runner.prepare([EmbedJob(model=name, inputs=texts, prompt_name=prompt or None)])
    assert isinstance(items, list)
    assert [item.length for item in items] == golden[f"tokens.{prompt}"].tolist()

    expected = golden[f"vectors.{prompt}"]
    mixed = np.stack(runner.launch(items)())
    alone = np.stack([runner.launch([item])()[0] for item in items])

    assert cosines(mixed, expected).min() >= 0.99999
    assert cosines(alone, expected).min() >= 0.99999
    assert cosines(mixed, alone).min() >= 0.99999


@pytest.mark.parametrize("name", NAMES)
def test_order_and_neighbours_do_not_change_a_vector(runners: dict[str, Runner], name: str):
    [items] = runners[name].prepare([EmbedJob(model=name, inputs=SMALL_TEXTS)])
    assert isinstance(items, list)
    expected = np.load(GOLDEN / f"{name}.npz")["vectors."]
    random = np.random.default_rng(3)
    for size in (2, 3, 5, 8):
        chosen = random.permutation(len(items))[:size]
        batch = np.stack(runners[name].launch([items[i] for i in chosen])())
        assert cosines(batch, expected[chosen]).min() >= 0.99999


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
