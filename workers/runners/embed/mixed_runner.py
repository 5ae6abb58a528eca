"""Texts and pages in, a unit-length vector for each out: Qwen3-VL-Embedding."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import InvalidInput, JobError
from jobs.models import ModelInfo
from workers.runners.checkpoint.lazy_weights import read, release, size_bytes
from workers.runners.contract import caught, check_finite, named, succeeded
from workers.runners.embed.mixed_prompts import INSTRUCTION, TurnPrompts, system_words
from workers.runners.embed.recipe import Recipe, read_recipe
from workers.runners.embed.vectors import Sizes, Vector, checked, result_of
from workers.runners.layers.pooling import normalise, pool
from workers.runners.vision.images import blank_picture, decoding_threads, is_pictured, leave
from workers.runners.vision.mixed_input import PageItem, row
from workers.runners.vision.qwen3_vl import Qwen3VL
from workers.runners.vision.qwen3_vl_checkpoint import Qwen3VLFiles, open_qwen3_vl_files
from workers.scheduling.batch_shapes import plans_per_shape, rounded_length


class Begun(NamedTuple):
    """A job whose pictures are being decoded. system: the words of the system's turn. pages: of its inputs with
    pictures, in order.
    """

    system: str
    pages: list[Future[PageItem]]


class PageEmbedRunner:
    """A model of one vector for a text, a picture or both (workers.runners.contract.BatchRunner).

    Pictures are decoded and cut up in `prepare`.
    """

    info: ModelInfo

    def __init__(self, model_id: str, folder: Path) -> None:
        """Opens the folder; weights are read by `load`. Raises InvalidInput, saying what in it is not supported."""
        self._files = open_qwen3_vl_files(folder)
        self._recipe = _recipe(self._files)
        self._network: Qwen3VL | None = self._files.network()
        self.weight_bytes = size_bytes(self._network)
        self._prompts = TurnPrompts(
            folder / "tokenizer.json",
            self._files.cut,
            max_tokens=self._files.max_tokens,
            vocab_size=self._files.vocab_size,
            image_token=self._files.image_token,
        )
        full = self._files.text.hidden_size
        least = self._recipe.min_dimensions
        self._sizes = Sizes(full, least if least is not None and least < full else None, self._recipe.cuts)
        self._threads = decoding_threads()
        self._rounds_shapes = plans_per_shape()
        self.info = ModelInfo(
            id=model_id,
            task="embed",
            created=int((folder / "config.json").stat().st_mtime),
            dimensions=full,
            max_tokens=self._files.max_tokens,
            min_dimensions=self._sizes.least,
            prompts=tuple(self._recipe.prompts),
            abilities=("vision",),
        )

    def load(self) -> Iterator[None]:
        """Raises InvalidInput for weights that make no sound vectors."""
        self._network = self._network or self._files.network()
        yield from read(self._network)
        samples = [
            self._prompts.text("a", INSTRUCTION, "none"),
            self._prompts.page(MixedInput((ImagePart(blank_picture()),)), INSTRUCTION),
        ]
        check_finite(self.run(samples), self._files.folder, "vectors")

    def unload(self) -> None:
        self._network = None
        release()

    def prepare(self, jobs: Sequence[EmbedJob]) -> Sequence[list[PageItem] | JobError]:
        """Pictures of all jobs at once: decoding and scaling them release the GIL."""
        begun = [caught(self._begin, job) for job in jobs]
        return [
            each if isinstance(each, JobError) else caught(self._items, job, each)
            for job, each in zip(jobs, begun, strict=True)
        ]

    def run(self, items: Sequence[PageItem]) -> Sequence[Vector | JobError]:
        """A batch from start to end, as `launch` does it."""
        return self.launch(items)()

    def launch(self, items: Sequence[PageItem]) -> Callable[[], Sequence[Vector | JobError]]:
        """One vector per item, float32, (dimensions,); InternalError for an item whose vector is not sound."""
        assert self._network is not None, "loaded first"
        longest = max(item.length for item in items)
        width = rounded_length(longest, self.info.max_tokens) if self._rounds_shapes else longest
        lengths = mx.array([item.length for item in items])
        vectors = normalise(pool(self._network([row(item) for item in items], width), lengths, "lasttoken"))
        mx.async_eval(vectors)

        def wait() -> Sequence[Vector | JobError]:
            mx.eval(vectors)  # releases the GIL while the device works, which a conversion alone would not
            return checked(np.array(vectors))

        return wait

    def assemble(self, job: EmbedJob, items: Sequence[PageItem], outcomes: Sequence[Any]) -> EmbedResult:
        """Cut to the job's dimensions and renormalised. Raises the first item's error, if any has one."""
        return result_of(succeeded(outcomes), job.dimensions, tuple(item.length for item in items))

    def _begin(self, job: EmbedJob) -> Begun:
        """Raises InvalidInput for what concerns the whole job."""
        if not job.inputs:
            raise InvalidInput("There is no input: send at least one text or picture.", param="input")
        self._sizes.check(job.dimensions)
        told = job.instruction is not None and job.prompt_name is None
        system = system_words(job.instruction) if told else self._recipe.prompt_of(job) or INSTRUCTION
        pages = [each for each in job.inputs if is_pictured(each)]
        return Begun(system, [self._threads.submit(self._prompts.page, each, system) for each in pages])

    def _items(self, job: EmbedJob, begun: Begun) -> list[PageItem]:
        """Raises the first input's error, naming its place."""
        pages = iter(begun.pages)
        items: list[PageItem] = []
        try:
            for index, value in enumerate(job.inputs):
                with named(f"Input {index}"):
                    items.append(
                        next(pages).result()
                        if is_pictured(value)
                        else self._prompts.text(_words(value), begun.system, job.truncate)
                    )
        finally:
            leave(pages)
        return items


def _words(value: str | tuple[int, ...] | MixedInput) -> str | tuple[int, ...]:
    if not isinstance(value, MixedInput):
        return value
    return "".join(part.text for part in value.parts if isinstance(part, TextPart))


def _recipe(files: Qwen3VLFiles) -> Recipe:
    """Raises InvalidInput for a folder whose modules.json asks for more than the last token's state."""
    text = files.config.get("text_config") or {}
    recipe = read_recipe(files.folder, {**text, **files.config})
    if recipe.pooling != "lasttoken" or recipe.dense:
        raise InvalidInput(
            f"{files.folder}: a Qwen3-VL-Embedding with pooling {recipe.pooling} and {len(recipe.dense)} dense layers "
            "is not supported.",
            param="model",
        )
    return recipe
