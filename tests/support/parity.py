"""Runners called in process, and what they make held against what reference implementations made."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from jobs.errors import JobError
from jobs.settings import Settings
from workers.models.open import load_runner
from workers.runners.contract import BatchRunner

R = TypeVar("R", bound=BatchRunner)
Prepared = TypeVar("Prepared")


def opened(spec: str | Path, kind: type[R]) -> R:
    """The model, with its weights."""
    found = load_runner(str(spec), Settings())
    assert isinstance(found, kind)
    return found


def prepared(runner: BatchRunner, jobs: Sequence[Any], kind: type[Prepared]) -> list[Prepared]:
    """The items of all jobs."""
    items: list[Prepared] = []
    for each in runner.prepare(jobs):
        assert isinstance(each, list), each
        for item in each:
            assert isinstance(item, kind)
            items.append(item)
    return items


def outcomes(runner: BatchRunner, items: Sequence[Any]) -> list[np.ndarray]:
    """Of one batch, none of which failed."""
    found = runner.launch(items)()
    assert not any(isinstance(each, JobError) for each in found)
    return [np.asarray(each) for each in found]


def least_cosine(found: np.ndarray, expected: np.ndarray) -> float:
    """Of vectors along the last axis."""
    assert found.shape == expected.shape
    a, b = found.astype(np.float64), expected.astype(np.float64)
    return float(((a * b).sum(axis=-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)).min())
