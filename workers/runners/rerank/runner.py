"""A query and documents in, a score for each document out."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from jobs.errors import InternalError, InvalidInput, JobError
from jobs.rerank import RerankJob, RerankResult
from jobs.types import ModelInfo
from workers.runners.base import caught, succeeded
from workers.runners.folder import read_json
from workers.runners.lazy_weights import read, release, size_bytes
from workers.runners.rerank.beginnings import beginnings_of, common_beginning
from workers.runners.rerank.item import Question, Reader, RerankItem, question_of
from workers.runners.rerank.networks import PairBatch, PairNetwork
from workers.runners.rerank.pairs import PairReader
from workers.runners.rerank.prompts import PromptReader
from workers.runners.rerank.recipe import read_rerank_recipe
from workers.runners.rerank.weights import load_network
from workers.shapes import plans_per_shape, rounded_length
from workers.tokens import padded

SAMPLE = Question("a", ("a",), None, truncate=False)


class RerankRunner:
    """A cross-encoder or a Qwen3-Reranker (workers.runners.base.BatchRunner). Its outcomes are logits."""

    info: ModelInfo

    def __init__(self, model_id: str, folder: Path) -> None:
        """Opens the transformers or MLX folder; weights are read by `load`.

        Raises InvalidInput, saying what in it is not supported.
        """
        config = read_json(folder / "config.json")
        self._folder = folder
        self._recipe = read_rerank_recipe(folder, config)
        self._reader, self._answers = self._open_reader(config)
        self._network: PairNetwork | None = self._open()
        self.weight_bytes = size_bytes(self._network)
        self._pad = int(config.get("pad_token_id") or 0)
        self._rounds_shapes = plans_per_shape()
        self.info = ModelInfo(
            id=model_id,
            task="rerank",
            created=int((folder / "config.json").stat().st_mtime),
            dimensions=0,
            max_tokens=self._recipe.max_tokens,
        )

    def load(self) -> Iterator[None]:
        """Raises InvalidInput for weights that make no sound score."""
        self._network = self._network or self._open()
        yield from read(self._network)
        [items] = self._reader.read([SAMPLE])
        if isinstance(items, JobError):
            raise items
        if isinstance(self.run(items)[0], JobError):  # builds lazy tables, too
            raise InvalidInput(f"{self._folder}: the model makes scores that are not finite.", param="model")

    def unload(self) -> None:
        self._network = None
        release()

    def prepare(self, jobs: Sequence[RerankJob]) -> Sequence[list[RerankItem] | JobError]:
        """Every pair of every job tokenised together, so that all cores work on them."""
        questions = [caught(question_of, job) for job in jobs]
        found = iter(self._reader.read([each for each in questions if isinstance(each, Question)]))
        return [each if isinstance(each, JobError) else next(found) for each in questions]

    def run(self, items: Sequence[RerankItem]) -> Sequence[float | JobError]:
        """A batch from start to end, as `launch` does it."""
        return self.launch(items)()

    def launch(self, items: Sequence[RerankItem]) -> Callable[[], Sequence[float | JobError]]:
        """One logit per item; InternalError for an item whose logit is not finite."""
        assert self._network is not None, "loaded first"
        logits = self._network.logits(self._batch(items))
        mx.async_eval(logits)

        def wait() -> Sequence[float | JobError]:
            mx.eval(logits)  # releases the GIL while the device works, which a conversion alone would not
            return _checked(np.array(logits))

        return wait

    def assemble(self, job: RerankJob, items: Sequence[RerankItem], outcomes: Sequence[Any]) -> RerankResult:
        """What the model's card makes of the logits, or the logits. Raises the first item's error, if any has one."""
        scores = np.asarray(succeeded(outcomes), dtype=np.float64)
        if self._recipe.sigmoid and not job.raw_scores:
            scores = _sigmoid(scores)
        return RerankResult(
            scores=scores.astype("<f4").tobytes(), tokens=tuple(item.length for item in items)
        )

    def _open(self) -> PairNetwork:
        return load_network(self._folder, read_json(self._folder / "config.json"), self._answers)

    def _open_reader(self, config: dict[str, Any]) -> tuple[Reader, tuple[int, int] | None]:
        """And the tokens "no" and "yes" of a model whose language head scores."""
        path, recipe, vocabulary = self._folder / "tokenizer.json", self._recipe, int(config["vocab_size"])
        if recipe.prompted:
            reader = PromptReader(path, recipe.max_tokens, vocabulary)
            return reader, None if recipe.has_classifier else reader.answers
        pairs = PairReader(
            path, recipe.max_tokens, vocabulary, lowercase=recipe.lowercase, token_types=recipe.token_types
        )
        return pairs, None

    def _batch(self, items: Sequence[RerankItem]) -> PairBatch:
        """The items side by side, padded on the right."""
        beginnings = common_beginning(items) if self._rounds_shapes else beginnings_of(items)
        skipped = beginnings.lengths if beginnings else [0] * len(items)
        rows = [item.ids[skip:] for item, skip in zip(items, skipped, strict=True)]
        lengths = np.fromiter(map(len, rows), dtype=np.int32, count=len(rows))
        longest = int(lengths.max())
        if self._rounds_shapes:
            longest = rounded_length(longest, self._recipe.max_tokens)
        on_device = mx.array(lengths)
        typed = items[0].types is not None
        types = [item.types for item in items if item.types is not None]
        return PairBatch(
            ids=mx.array(padded(rows, longest, self._pad)),
            types=mx.array(padded(types, longest)) if typed else None,
            lengths=on_device,
            real=None if int(lengths.min()) == longest else mx.arange(longest) < on_device[:, None],
            beginnings=beginnings,
        )


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
