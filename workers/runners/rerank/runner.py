"""A query and documents in, a score for each document out."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from jobs.errors import InternalError, JobError
from jobs.models import ModelInfo
from jobs.rerank import RerankJob, RerankResult
from workers.runners.checkpoint.folder import read_json
from workers.runners.checkpoint.lazy_weights import module_of, read, release, size_bytes
from workers.runners.contract import Item, check_finite, succeeded
from workers.runners.rerank.mixed_model import PAGE_TYPE, open_pages
from workers.runners.rerank.model import Network, RerankModel
from workers.runners.rerank.text_model import open_texts


class RerankRunner:
    """A cross-encoder, a Qwen3-Reranker or a Qwen3-VL-Reranker (workers.runners.contract.BatchRunner). Its outcomes are
    logits.
    """

    info: ModelInfo

    def __init__(self, model_id: str, folder: Path) -> None:
        """Opens the transformers or MLX folder; weights are read by `load`.

        Raises InvalidInput, saying what in it is not supported.
        """
        self._folder = folder
        self._model = _open(folder)
        self._network: Network | None = self._model.network()
        self.weight_bytes = size_bytes(module_of(self._network))
        self.info = ModelInfo(
            id=model_id,
            task="rerank",
            created=int((folder / "config.json").stat().st_mtime),
            dimensions=0,
            max_tokens=self._model.max_tokens,
            abilities=self._model.abilities,
        )

    def load(self) -> Iterator[None]:
        """Raises InvalidInput for weights that make no sound score."""
        self._network = self._network or self._model.network()
        yield from read(module_of(self._network))
        [items] = self._model.reader.read([self._model.sample])
        if isinstance(items, JobError):
            raise items
        check_finite(self.run(items), self._folder, "scores")  # builds lazy tables, too

    def unload(self) -> None:
        self._network = None
        release()

    def prepare(self, jobs: Sequence[RerankJob]) -> Sequence[list[Any] | JobError]:
        """An item for each document."""
        return self._model.reader.read(jobs)

    def run(self, items: Sequence[Any]) -> Sequence[float | JobError]:
        """A batch from start to end, as `launch` does it."""
        return self.launch(items)()

    def launch(self, items: Sequence[Any]) -> Callable[[], Sequence[float | JobError]]:
        """One logit per item; InternalError for an item whose logit is not finite."""
        assert self._network is not None, "loaded first"
        logits = self._network.logits(self._model.batch(items))
        mx.async_eval(logits)

        def wait() -> Sequence[float | JobError]:
            mx.eval(logits)  # releases the GIL while the device works, which a conversion alone would not
            return _checked(np.array(logits))

        return wait

    def assemble(self, job: RerankJob, items: Sequence[Item], outcomes: Sequence[Any]) -> RerankResult:
        """What the model's card makes of the logits, or the logits. Raises the first item's error, if any has one."""
        scores = np.asarray(succeeded(outcomes), dtype=np.float64)
        if self._model.sigmoid and not job.raw_scores:
            scores = _sigmoid(scores)
        return RerankResult(
            scores=scores.astype("<f4").tobytes(), tokens=tuple(item.length for item in items)
        )


def _open(folder: Path) -> RerankModel:
    config = read_json(folder / "config.json")
    return (open_pages if config.get("model_type") == PAGE_TYPE else open_texts)(folder, config)


def _checked(logits: NDArray[np.float32]) -> list[float | JobError]:
    """One per item, an error in place of each that is not finite."""
    outcomes: list[float | JobError] = logits.tolist()
    for place in np.flatnonzero(~np.isfinite(logits)):
        outcomes[place] = InternalError("The model made a score that is not finite.")
    return outcomes


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without overflow: the exponent is never above zero."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, small) / (1.0 + small)
