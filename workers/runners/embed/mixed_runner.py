"""Texts and images in, a unit-length vector for each input out: Qwen3-VL-Embedding."""

from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
from tokenizers import Tokenizer

from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import InvalidInput, JobError
from jobs.models import ModelInfo
from workers.runners.batched_runner import BatchedRunner
from workers.runners.checkpoint.folder import written_at
from workers.runners.contract import caught, named, succeeded
from workers.runners.embed.mixed_prompts import INSTRUCTION, EmbedPrompts, system_words
from workers.runners.embed.recipe import Recipe, Sizes, read_recipe
from workers.runners.layers.vectors import Vector, checked, normalise, pool, result_of
from workers.runners.vision.images import blank_image, cancel, decoding_threads, has_image
from workers.runners.vision.mixed_input import MixedItem, row
from workers.runners.vision.qwen3_vl import Qwen3VL
from workers.runners.vision.qwen3_vl_checkpoint import Qwen3VLFiles, open_qwen3_vl_files


class DecodingJob(NamedTuple):
    """A job whose images are being decoded."""

    system: str
    """The words of the system's turn."""
    mixed: list[Future[MixedItem]]
    """Of its inputs with images, in order."""


class MixedEmbedRunner(BatchedRunner[Qwen3VL, MixedItem, Vector]):
    """A model of one vector for a text, an image or both. Images are decoded and cut into patches in `prepare`."""

    def __init__(self, model_id: str, folder: Path) -> None:
        """Opens the folder; weights are read by `load`. Raises InvalidInput, saying what in it is not supported."""
        files = open_qwen3_vl_files(folder)
        self._recipe = _recipe(files)
        super().__init__(folder, files.network)
        self._prompts = EmbedPrompts(
            folder / "tokenizer.json",
            files.patching,
            max_tokens=files.max_tokens,
            vocab_size=files.vocab_size,
            image_token=files.image_token,
        )
        full = files.text.hidden_size
        least = self._recipe.min_dimensions
        self._sizes = Sizes(full, least if least is not None and least < full else None, self._recipe.cuts)
        self._threads = decoding_threads()
        self.info = ModelInfo(
            id=model_id,
            task="embed",
            created=written_at(folder),
            dimensions=full,
            max_tokens=files.max_tokens,
            min_dimensions=self._sizes.least,
            prompts=tuple(self._recipe.prompts),
            abilities=("vision",),
        )

    @property
    def text_tokenizer(self) -> Tokenizer:
        return self._prompts.text_tokenizer

    def prepare(self, jobs: Sequence[EmbedJob]) -> Sequence[list[MixedItem] | JobError]:
        """Images of all jobs at once: decoding and scaling them release the GIL."""
        decoding = [caught(self._begin, job) for job in jobs]
        return [
            each if isinstance(each, JobError) else caught(self._items, job, each)
            for job, each in zip(jobs, decoding, strict=True)
        ]

    def assemble(self, job: EmbedJob, items: Sequence[MixedItem], outcomes: Sequence[Any]) -> EmbedResult:
        """Cut to the job's dimensions and renormalised. Raises the first item's error, if any has one."""
        return result_of(succeeded(outcomes), job.dimensions, tuple(item.length for item in items))

    def _samples(self) -> Sequence[Sequence[MixedItem]]:
        text = self._prompts.text("a", INSTRUCTION, "none")
        return [[text, self._prompts.mixed(MixedInput((ImagePart(blank_image()),)), INSTRUCTION)]]

    def _outcome_name(self) -> str:
        return "vectors"

    def _compute(self, network: Qwen3VL, items: Sequence[MixedItem]) -> mx.array:
        """float32, (items, dimensions)."""
        width = self._width(max(item.length for item in items), self.info.max_tokens)
        lengths = mx.array([item.length for item in items])
        return normalise(pool(network([row(item) for item in items], width), lengths, "lasttoken"))

    def _outcomes(self, items: Sequence[MixedItem], computed: Vector) -> Sequence[Vector | JobError]:
        return checked(computed)

    def _begin(self, job: EmbedJob) -> DecodingJob:
        """Raises InvalidInput for what concerns the whole job."""
        if not job.inputs:
            raise InvalidInput("There is no input: send at least one text or image.", param="input")
        self._sizes.check(job.dimensions)
        has_instruction = job.instruction is not None and job.prompt_name is None
        system = (
            system_words(job.instruction) if has_instruction else self._recipe.prompt_of(job) or INSTRUCTION
        )
        mixed = [each for each in job.inputs if has_image(each)]
        return DecodingJob(
            system, [self._threads.submit(self._prompts.mixed, each, system) for each in mixed]
        )

    def _items(self, job: EmbedJob, decoding: DecodingJob) -> list[MixedItem]:
        """Raises the first input's error, naming its index."""
        mixed = iter(decoding.mixed)
        items: list[MixedItem] = []
        try:
            for index, value in enumerate(job.inputs):
                with named(f"Input {index}"):
                    items.append(
                        next(mixed).result()
                        if has_image(value)
                        else self._prompts.text(
                            _text_of(value), decoding.system, job.truncate, job.max_tokens
                        )
                    )
        finally:
            cancel(mixed)
        return items


def _text_of(value: str | tuple[int, ...] | MixedInput) -> str | tuple[int, ...]:
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
