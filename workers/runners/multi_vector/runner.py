"""Texts and images in, a vector for each of their tokens and patches out: ColQwen2.5, ColIdefics3 (ColSmol), and for
texts alone LFM2-ColBERT.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from jobs.content import ImagePart, MixedInput
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import InternalError, InvalidInput, JobError
from jobs.models import ModelInfo
from jobs.rerank import RerankJob, RerankResult
from workers.runners.batched_runner import BatchedRunner
from workers.runners.checkpoint.folder import written_at
from workers.runners.contract import caught, named, succeeded
from workers.runners.layers.vectors import MAX_NORM_ERROR
from workers.runners.multi_vector.maxsim import embeddings_of, joined, ranking
from workers.runners.multi_vector.mixed_prompts import text_of
from workers.runners.multi_vector.model import MultiVectorItem, MultiVectorModel, Network
from workers.runners.tokens.equal_items import first_equals
from workers.runners.vision.images import blank_image, cancel, decoding_threads, has_image

Vectors = NDArray[np.float32]


class MultiVectorRunner(BatchedRunner[Network, MultiVectorItem, Vectors]):
    """A late-interaction model. Images are decoded and cut into patches in `prepare`.

    A text is a query unless `input_type` says document. An input with images is always read as a document.
    """

    def __init__(self, model_id: str, folder: Path, model: MultiVectorModel) -> None:
        """model: the folder, opened. Weights are read by `load`. Raises InvalidInput for weights that do not fit."""
        super().__init__(folder, model.network)
        self._prompts = model.prompts
        self._takes_images = model.takes_images
        self._threads = decoding_threads()
        self.info = ModelInfo(
            id=model_id,
            task="embed",
            created=written_at(folder),
            dimensions=self._loaded().dimensions,
            max_tokens=model.max_tokens,
            abilities=("multi_vector", "vision") if model.takes_images else ("multi_vector",),
            image_pixels=model.image_pixels,
            image_edge=model.image_edge,
            image_multiple=model.image_multiple,
        )

    @property
    def text_tokenizer(self) -> Tokenizer:
        return self._prompts.text_tokenizer

    def prepare(self, jobs: Sequence[EmbedJob | RerankJob]) -> Sequence[list[MultiVectorItem] | JobError]:
        """Of a reranking: the query, then the documents."""
        parts = [caught(_embeddings_of, job) for job in jobs]
        prepared = iter(
            self._prepare([each for part in parts if not isinstance(part, JobError) for each in part])
        )
        return [
            part if isinstance(part, JobError) else joined([next(prepared) for _ in part]) for part in parts
        ]

    def assemble(
        self, job: EmbedJob | RerankJob, items: Sequence[MultiVectorItem], outcomes: Sequence[Any]
    ) -> EmbedResult | RerankResult:
        """Raises the first item's error, if any has one."""
        vectors = succeeded(outcomes)
        lengths = tuple(item.length for item in items)
        if isinstance(job, RerankJob):
            return ranking([vectors[place] for place in first_equals(items)], lengths)
        return EmbedResult(
            dimensions=self.info.dimensions,
            vectors=np.concatenate(vectors).astype("<f4").tobytes(),
            tokens=lengths,
            counts=tuple(map(len, vectors)),
            grids=tuple(item.grids for item in items) if any(item.grids for item in items) else (),
        )

    def _prepare(self, jobs: Sequence[EmbedJob]) -> Sequence[list[MultiVectorItem] | JobError]:
        """Images of all jobs at once: decoding and scaling them release the GIL."""
        mixed = [
            [self._threads.submit(self._prompts.mixed, each) for each in job.inputs if has_image(each)]
            for job in jobs
        ]
        return [caught(self._items, job, iter(own)) for job, own in zip(jobs, mixed, strict=True)]

    def _samples(self) -> Sequence[Sequence[MultiVectorItem]]:
        samples = [self._prompts.text("a", is_query=True, truncate="none")]
        if self._takes_images:
            samples.append(self._prompts.mixed(MixedInput((ImagePart(blank_image()),))))
        return [samples]

    def _outcome_name(self) -> str:
        return "vectors"

    def _compute(self, network: Network, items: Sequence[MultiVectorItem]) -> mx.array:
        """float32, (items, width, dimensions)."""
        return network(items, self._width(max(item.length for item in items)))

    def _outcomes(self, items: Sequence[MultiVectorItem], computed: Vectors) -> Sequence[Vectors | JobError]:
        """Of each item its vectors, float32, (kept tokens, dimensions)."""
        return [_checked(rows[item.kept]) for rows, item in zip(computed, items, strict=True)]

    def _check(self, job: EmbedJob) -> None:
        """What concerns the whole job. Raises InvalidInput."""
        full = self.info.dimensions
        if not job.inputs:
            raise InvalidInput("There is no input: send at least one text or image.", param="input")
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

    def _items(self, job: EmbedJob, mixed: Iterator[Future[MultiVectorItem]]) -> list[MultiVectorItem]:
        """mixed: the job's inputs with images, being decoded. Raises the first input's error, naming its index."""
        items: list[MultiVectorItem] = []
        try:
            self._check(job)
            for index, value in enumerate(job.inputs):
                with named(f"Input {index}"):
                    items.append(next(mixed).result() if has_image(value) else self._text(value, job))
        finally:
            cancel(mixed)
        return items

    def _text(self, value: str | tuple[int, ...] | MixedInput, job: EmbedJob) -> MultiVectorItem:
        usual = "document" if isinstance(value, MixedInput) else "query"
        words = text_of(value) if isinstance(value, MixedInput) else value
        is_query = (job.input_type or usual) == "query"
        return self._prompts.text(words, is_query=is_query, truncate=job.truncate, max_tokens=job.max_tokens)


def _embeddings_of(job: EmbedJob | RerankJob) -> tuple[EmbedJob, ...]:
    return embeddings_of(job) if isinstance(job, RerankJob) else (job,)


def _checked(vectors: Vectors) -> Vectors | JobError:
    error = np.abs(np.linalg.norm(vectors, axis=1) - 1).max()
    if error <= MAX_NORM_ERROR:  # NaN compares false
        return vectors
    return InternalError(f"The model made a vector whose length is {error:.3g} from 1.")
