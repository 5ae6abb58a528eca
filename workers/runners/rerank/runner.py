"""A query and documents in, a score for each document out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from jobs.errors import InternalError, JobError
from jobs.models import ModelInfo
from jobs.rerank import RerankJob, RerankResult
from workers.runners.batched_runner import BatchedRunner
from workers.runners.checkpoint.folder import written_at
from workers.runners.contract import Item, succeeded
from workers.runners.rerank.model import Network, RerankModel
from workers.runners.tokens.equal_items import first_equals


class RerankRunner(BatchedRunner[Network, Any, float]):
    """A cross-encoder, a Qwen3-Reranker or a Qwen3-VL-Reranker. Its outcomes are logits."""

    def __init__(self, model_id: str, folder: Path, model: RerankModel) -> None:
        """model: the folder, opened. Weights are read by `load`. Raises InvalidInput for weights that do not fit."""
        self._model = model
        super().__init__(folder, model.network)
        self.info = ModelInfo(
            id=model_id,
            task="rerank",
            created=written_at(folder),
            dimensions=0,
            max_tokens=model.max_tokens,
            abilities=model.abilities,
        )

    @property
    def text_tokenizer(self) -> Tokenizer:
        return self._model.reader.text_tokenizer

    def prepare(self, jobs: Sequence[RerankJob]) -> Sequence[list[Any] | JobError]:
        """An item for each document."""
        return self._model.reader.read(jobs)

    def assemble(self, job: RerankJob, items: Sequence[Item], outcomes: Sequence[Any]) -> RerankResult:
        """What the model's card makes of the logits, or the logits; the same for equal documents.

        Raises the first item's error, if any has one.
        """
        scores = np.asarray(succeeded(outcomes), dtype=np.float64)[first_equals(items)]
        if self._model.sigmoid and not job.raw_scores:
            scores = _sigmoid(scores)
        return RerankResult(
            scores=scores.astype("<f4").tobytes(), tokens=tuple(item.length for item in items)
        )

    def _samples(self) -> Sequence[Sequence[Any]]:
        [items] = self._model.reader.read([self._model.sample])
        if isinstance(items, JobError):
            raise items
        return [items]

    def _outcome_name(self) -> str:
        return "scores"

    def _compute(self, network: Network, items: Sequence[Any]) -> mx.array:
        """float32, (items,)."""
        return network.logits(self._model.batch(items))

    def _outcomes(self, items: Sequence[Any], computed: NDArray[np.float32]) -> Sequence[float | JobError]:
        outcomes: list[float | JobError] = computed.tolist()
        for index in np.flatnonzero(~np.isfinite(computed)):
            outcomes[index] = InternalError("The model made a score that is not finite.")
        return outcomes


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without overflow: the exponent is never above zero."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, small) / (1.0 + small)
