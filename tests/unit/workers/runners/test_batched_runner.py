"""The life that embedders' and rerankers' runners share, of a network that doubles numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx import nn

from jobs.errors import InternalError, InvalidInput, JobError
from workers.runners.batched_runner import BatchedRunner
from workers.runners.contract import loaded


class Doubling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = mx.array([2.0])


class DoublingRunner(BatchedRunner[Doubling, float, float]):
    def __init__(self, sample: float = 1.0) -> None:
        self.opened = 0
        self._sample = sample
        super().__init__(Path("folder"), self._open)

    def _open(self) -> Doubling:
        self.opened += 1
        return Doubling()

    def prepare(self, jobs: Sequence[Any]) -> list[Any]:
        return [[float(job)] for job in jobs]

    def assemble(self, job: Any, items: Sequence[Any], outcomes: Sequence[Any]) -> Any:
        return outcomes[0]

    def _samples(self) -> Sequence[Sequence[float]]:
        return [[self._sample]]

    def _outcome_name(self) -> str:
        return "numbers"

    def _compute(self, network: Doubling, items: Sequence[float]) -> mx.array:
        return mx.array(list(items)) * network.factor

    def _outcomes(self, items: Sequence[float], computed: np.ndarray[Any, Any]) -> Sequence[float | JobError]:
        return [float(each) if np.isfinite(each) else InternalError() for each in computed]


def test_a_batch_has_an_outcome_for_each_item():
    runner = loaded(DoublingRunner())
    first, broken, last = runner.launch([1.0, np.inf, 3.0])()
    assert (first, last) == (2.0, 6.0)
    assert isinstance(broken, InternalError)


def test_weights_are_known_before_they_are_read():
    assert DoublingRunner().weight_bytes == 4


def test_weights_that_make_an_unsound_outcome_of_a_sample_are_refused():
    with pytest.raises(InvalidInput, match="folder: the model makes numbers that are not finite"):
        loaded(DoublingRunner(sample=np.nan))


def test_an_unloaded_runner_opens_its_network_anew():
    runner = loaded(DoublingRunner())
    runner.unload()
    with pytest.raises(AssertionError, match="loaded first"):
        runner.run([1.0])
    assert list(loaded(runner).run([2.0])) == [4.0]
    assert runner.opened == 2
