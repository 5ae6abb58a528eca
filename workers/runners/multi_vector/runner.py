"""Texts and pages in, a vector for each of their tokens and patches out: ColQwen2.5, ColIdefics3 (ColSmol), and for
texts alone LFM2-ColBERT.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from jobs.content import ImagePart, MixedInput
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import InternalError, InvalidInput, JobError
from jobs.models import ModelInfo
from jobs.rerank import RerankJob, RerankResult
from workers.runners.checkpoint.lazy_weights import module_of, read, release, size_bytes
from workers.runners.contract import caught, check_finite, named, succeeded
from workers.runners.embed.vectors import MAX_NORM_ERROR
from workers.runners.multi_vector.colidefics_checkpoint import open_colidefics
from workers.runners.multi_vector.colqwen_checkpoint import open_colqwen
from workers.runners.multi_vector.family import Family
from workers.runners.multi_vector.lfm2_checkpoint import open_lfm2
from workers.runners.multi_vector.maxsim import embeddings_of, joined, ranking
from workers.runners.multi_vector.mixed_prompts import texts_of
from workers.runners.multi_vector.model import LateItem, Network
from workers.runners.vision.images import blank_picture, decoding_threads, is_pictured, leave
from workers.scheduling.batch_shapes import plans_per_shape, rounded_length

Vectors = NDArray[np.float32]

OPENERS = {"colqwen2_5": open_colqwen, "colidefics3": open_colidefics, "lfm2_colbert": open_lfm2}


class MultiVectorRunner:
    """A late-interaction model (workers.runners.contract.BatchRunner). Pictures are decoded and cut up in `prepare`.

    A text is a query unless `input_type` says document: a page is what such a model takes for a document.
    """

    info: ModelInfo

    def __init__(self, model_id: str, folder: Path, family: Family) -> None:
        """Opens the folder; weights are read by `load`. Raises InvalidInput, saying what in it is not supported."""
        self._folder = folder
        self._prompts, self._open, max_tokens, self._sees = OPENERS[family](folder)
        self._network: Network | None = self._open()
        self.weight_bytes = size_bytes(module_of(self._network))
        self._threads = decoding_threads()
        self._rounds_shapes = plans_per_shape()
        self.info = ModelInfo(
            id=model_id,
            task="embed",
            created=int((folder / "config.json").stat().st_mtime),
            dimensions=self._network.dimensions,
            max_tokens=max_tokens,
            abilities=("multi_vector", "vision") if self._sees else ("multi_vector",),
        )

    def load(self) -> Iterator[None]:
        """Raises InvalidInput for weights that make no sound vectors."""
        self._network = self._network or self._open()
        yield from read(module_of(self._network))
        samples = [self._prompts.text("a", is_query=True, truncate="none")]
        if self._sees:
            samples.append(self._prompts.page(MixedInput((ImagePart(blank_picture()),))))
        check_finite(self.run(samples), self._folder, "vectors")

    def unload(self) -> None:
        self._network = None
        release()

    def prepare(self, jobs: Sequence[EmbedJob | RerankJob]) -> Sequence[list[LateItem] | JobError]:
        """Of a reranking: the query, then the documents."""
        parts = [caught(_embeddings_of, job) for job in jobs]
        prepared = iter(
            self._prepare([each for part in parts if not isinstance(part, JobError) for each in part])
        )
        return [
            part if isinstance(part, JobError) else joined([next(prepared) for _ in part]) for part in parts
        ]

    def _prepare(self, jobs: Sequence[EmbedJob]) -> Sequence[list[LateItem] | JobError]:
        """Pictures of all jobs at once: decoding and scaling them release the GIL."""
        pages = [
            [self._threads.submit(self._prompts.page, each) for each in job.inputs if is_pictured(each)]
            for job in jobs
        ]
        return [caught(self._items, job, iter(own)) for job, own in zip(jobs, pages, strict=True)]

    def run(self, items: Sequence[LateItem]) -> Sequence[Vectors | JobError]:
        """A batch from start to end, as `launch` does it."""
        return self.launch(items)()

    def launch(self, items: Sequence[LateItem]) -> Callable[[], Sequence[Vectors | JobError]]:
        """Of each item its vectors, float32, (kept tokens, dimensions); InternalError where one of them is unsound."""
        assert self._network is not None, "loaded first"
        longest = max(item.length for item in items)
        width = rounded_length(longest) if self._rounds_shapes else longest
        vectors = self._network(items, width)
        mx.async_eval(vectors)

        def wait() -> Sequence[Vectors | JobError]:
            mx.eval(vectors)  # releases the GIL while the device works, which a conversion alone would not
            found = np.array(vectors)
            return [_checked(rows[item.kept]) for rows, item in zip(found, items, strict=True)]

        return wait

    def assemble(
        self, job: EmbedJob | RerankJob, items: Sequence[LateItem], outcomes: Sequence[Any]
    ) -> EmbedResult | RerankResult:
        """Raises the first item's error, if any has one."""
        vectors = succeeded(outcomes)
        lengths = tuple(item.length for item in items)
        if isinstance(job, RerankJob):
            return ranking(vectors, lengths)
        return EmbedResult(
            dimensions=self.info.dimensions,
            vectors=np.concatenate(vectors).astype("<f4").tobytes(),
            tokens=lengths,
            counts=tuple(map(len, vectors)),
            grids=tuple(item.grids for item in items) if any(item.grids for item in items) else (),
        )

    def _check(self, job: EmbedJob) -> None:
        """What concerns the whole job. Raises InvalidInput."""
        full = self.info.dimensions
        if not job.inputs:
            raise InvalidInput("There is no input: send at least one text or picture.", param="input")
        if job.dimensions not in (None, full):
            raise InvalidInput(
                f"The model's vectors cannot be cut: leave `dimensions` out, or {full}.", param="dimensions"
            )
        if job.prompt_name is not None:
            raise InvalidInput(
                "The model has no named prompts: say with `input_type` what an input is.", param="prompt_name"
            )
        if job.instruction is not None:
            raise InvalidInput("The model takes no instruction.", param="instruction")

    def _items(self, job: EmbedJob, pages: Iterator[Future[LateItem]]) -> list[LateItem]:
        """Raises the first input's error, naming its place."""
        items: list[LateItem] = []
        try:
            self._check(job)
            for index, value in enumerate(job.inputs):
                with named(f"Input {index}"):
                    items.append(next(pages).result() if is_pictured(value) else self._text(value, job))
        finally:
            leave(pages)
        return items

    def _text(self, value: str | tuple[int, ...] | MixedInput, job: EmbedJob) -> LateItem:
        usual = "document" if isinstance(value, MixedInput) else "query"
        words = texts_of(value) if isinstance(value, MixedInput) else value
        is_query = (job.input_type or usual) == "query"
        return self._prompts.text(words, is_query=is_query, truncate=job.truncate)


def _embeddings_of(job: EmbedJob | RerankJob) -> tuple[EmbedJob, ...]:
    return embeddings_of(job) if isinstance(job, RerankJob) else (job,)


def _checked(vectors: Vectors) -> Vectors | JobError:
    error = np.abs(np.linalg.norm(vectors, axis=1) - 1).max()
    if error <= MAX_NORM_ERROR:  # NaN compares false
        return vectors
    return InternalError(f"The model made a vector whose length is {error:.3g} from 1.")
