"""Texts in, unit-length vectors out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
from mlx import nn
from numpy.typing import NDArray

from jobs.errors import InternalError, InvalidInput, JobError
from jobs.types import EmbedJob, EmbedResult, ModelInfo, Page
from workers.runners.base import caught, succeeded
from workers.runners.embed.encoders import Encoder
from workers.runners.embed.pooling import Dense, normalise, pool
from workers.runners.embed.recipe import read_recipe
from workers.runners.embed.weights import load_dense, load_encoder
from workers.runners.folder import read_json
from workers.runners.lazy_weights import read, release, size_bytes
from workers.shapes import plans_per_shape, rounded_length
from workers.tokens import Ids, ModelTokenizer, padded

Vector = NDArray[np.float32]

MAX_NORM_ERROR = 1e-3


@dataclass(frozen=True, slots=True)
class EmbedItem:
    """One text as the model reads it: ids with special tokens and prompt, int32."""

    ids: Ids

    @property
    def length(self) -> int:
        return len(self.ids)


class Network(NamedTuple):
    """What maps token ids to vectors."""

    encoder: Encoder
    dense: list[Dense]

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        return (self.encoder, *self.dense)


class EmbedRunner:
    """An embedding model (workers.runners.base.BatchRunner)."""

    info: ModelInfo

    def __init__(self, model_id: str, folder: Path) -> None:
        """Opens the sentence-transformers or MLX folder; weights are read by `load`.

        Raises InvalidInput, saying what in it is not supported.
        """
        config = read_json(folder / "config.json")
        self._folder = folder
        self._recipe = read_recipe(folder, config)
        self._network: Network | None = self._open()
        self.weight_bytes = size_bytes(*self._network.modules)
        self._tokenizer = ModelTokenizer(
            folder / "tokenizer.json",
            self._recipe.max_tokens,
            int(config["vocab_size"]),
            self._recipe.lowercase,
        )
        self._pad = int(config.get("pad_token_id") or 0)
        self._rounds_shapes = plans_per_shape()
        self.info = ModelInfo(
            id=model_id,
            task="embed",
            created=int((folder / "config.json").stat().st_mtime),
            dimensions=self._vectors([self._sample()]).shape[1],  # known before any weight is
            max_tokens=self._recipe.max_tokens,
            min_dimensions=self._recipe.min_dimensions,
            prompts=tuple(self._recipe.prompts),
        )

    def load(self) -> Iterator[None]:
        """Raises InvalidInput for weights that make no sound vector."""
        self._network = self._network or self._open()
        yield from read(*self._network.modules)
        outcome = self.run([self._sample()])[0]  # builds lazy tables, too
        if isinstance(outcome, JobError):
            raise InvalidInput(f"{self._folder}: the model makes vectors that are not finite.", param="model")

    def unload(self) -> None:
        self._network = None
        release()

    def _open(self) -> Network:
        config = read_json(self._folder / "config.json")
        dense = [load_dense(path) for path in self._recipe.dense]
        return Network(load_encoder(self._folder, config), dense)

    def prepare(self, jobs: Sequence[EmbedJob]) -> Sequence[list[EmbedItem] | JobError]:
        """Every text of every job tokenised together, so that all cores work on them."""
        prompts = [caught(self._prompt, job) for job in jobs]
        texts = [
            prompt + value
            for job, prompt in zip(jobs, prompts, strict=True)
            if isinstance(prompt, str)
            for value in job.inputs
            if isinstance(value, str)
        ]
        encoded = self._tokenizer.encode(texts)
        return [
            prompt if isinstance(prompt, JobError) else self._items(job, prompt, encoded)
            for job, prompt in zip(jobs, prompts, strict=True)
        ]

    def run(self, items: Sequence[EmbedItem]) -> Sequence[Vector | JobError]:
        """A batch from start to end, as `launch` does it."""
        return self.launch(items)()

    def launch(self, items: Sequence[EmbedItem]) -> Callable[[], Sequence[Vector | JobError]]:
        """One vector per item, float32, (dimensions,); InternalError for an item whose vector is not sound."""
        vectors = self._vectors(items)
        mx.async_eval(vectors)

        def wait() -> Sequence[Vector | JobError]:
            mx.eval(vectors)  # releases the GIL while the device works, which a conversion alone would not
            return _checked(np.array(vectors))

        return wait

    def _vectors(self, items: Sequence[EmbedItem]) -> mx.array:
        """float32, shape (items, dimensions), not computed yet."""
        lengths = np.fromiter((item.length for item in items), dtype=np.int32, count=len(items))
        longest = int(lengths.max())
        if self._rounds_shapes:
            longest = rounded_length(longest, self._recipe.max_tokens)
        ids = padded([item.ids for item in items], longest, self._pad)
        on_device = mx.array(lengths)
        real = None if int(lengths.min()) == longest else mx.arange(longest) < on_device[:, None]
        assert self._network is not None, "loaded first"
        encoder = self._network.encoder
        vectors = pool(encoder.hidden(mx.array(ids), real), on_device, self._recipe.pooling)
        for dense in (*self._network.dense, *getattr(encoder, "dense", ())):
            vectors = dense(vectors)
        return normalise(vectors.astype(mx.float32))

    def assemble(self, job: EmbedJob, items: Sequence[EmbedItem], outcomes: Sequence[Any]) -> EmbedResult:
        """Cut to the job's dimensions and renormalised. Raises the first item's error, if any has one."""
        vectors = np.stack(succeeded(outcomes))
        dimensions = job.dimensions or vectors.shape[1]
        if dimensions < vectors.shape[1]:
            vectors = vectors[:, :dimensions]
            norms = np.linalg.norm(vectors, axis=1, keepdims=True)
            if not norms.all():
                raise InternalError("A vector is zero in its first dimensions.")
            vectors = vectors / norms
        return EmbedResult(
            dimensions=dimensions,
            vectors=np.ascontiguousarray(vectors, dtype="<f4").tobytes(),
            tokens=tuple(item.length for item in items),
        )

    def _items(self, job: EmbedJob, prompt: str, encoded: Iterator[Ids]) -> list[EmbedItem] | JobError:
        """Takes this job's texts from `encoded`, all of them even after an error: the next job's follow."""
        outcome: list[EmbedItem] | JobError = []
        for index, value in enumerate(job.inputs):
            ids = next(encoded) if isinstance(value, str) else None
            if isinstance(outcome, JobError):
                continue
            try:
                if isinstance(value, Page):
                    raise InvalidInput("this model reads texts, and no pictures.", param="input")
                outcome.append(EmbedItem(self._read(value, ids, prompt, job)))
            except JobError as error:
                outcome = type(error)(f"Input {index}: {error.message}", param=error.param)
        return outcome

    def _read(self, value: str | tuple[int, ...], ids: Ids | None, prompt: str, job: EmbedJob) -> Ids:
        """What the model reads for one input, within its limit."""
        prompt_tokens: int | None = 0 if not prompt else None
        if ids is None:
            if not value:
                raise InvalidInput("the list of token ids is empty.", param="input")
            ids, prompt_tokens = self._tokenizer.wrap([int(token) for token in value], prompt)
        if not len(ids):
            raise InvalidInput("the text is empty, and this model reads nothing of it.", param="input")
        if len(ids) <= self._tokenizer.max_tokens:
            return ids
        if prompt_tokens is None and job.truncate != "none":
            prompt_tokens = self._tokenizer.prompt_tokens(prompt, str(value))
        return self._tokenizer.cut(ids, prompt_tokens or 0, job.truncate)

    def _prompt(self, job: EmbedJob) -> str:
        """What goes before each text, after a check of all that concerns the whole job. Raises InvalidInput."""
        if not job.inputs:
            raise InvalidInput("There is no input: send at least one text.", param="input")
        self._check_dimensions(job.dimensions)
        recipe = self._recipe
        if job.instruction is None:
            name = recipe.default_prompt_name if job.prompt_name is None else job.prompt_name
            if job.prompt_name is None and job.input_type in recipe.prompts:
                name = job.input_type
            if name is not None and name not in recipe.prompts:
                known = ", ".join(recipe.prompts) or "none"
                raise InvalidInput(
                    f"The model has no prompt {name!r}. Its prompts: {known}.", param="prompt_name"
                )
            return recipe.prompts[name] if name is not None else ""
        if job.prompt_name is not None:
            raise InvalidInput("Give either `prompt_name` or `instruction`, not both.", param="instruction")
        if recipe.instruction_frame is None:
            raise InvalidInput(
                "The model was trained with fixed prompts and takes no instruction. "
                f"Set `prompt_name` to one of: {', '.join(recipe.prompts)}.",
                param="instruction",
            )
        before, after = recipe.instruction_frame
        return f"{before}{job.instruction}{after}"

    def _check_dimensions(self, dimensions: int | None) -> None:
        full, least, cuts = self.info.dimensions, self._recipe.min_dimensions, self._recipe.cuts
        if dimensions is None or dimensions == full:
            return
        if least is None:
            raise InvalidInput(
                f"The model's vectors cannot be cut: leave `dimensions` out, or {full}.", param="dimensions"
            )
        if not least <= dimensions <= full or (cuts and dimensions not in cuts):
            allowed = ", ".join(map(str, sorted({*cuts, full}))) if cuts else f"{least} to {full}"
            raise InvalidInput(
                f"`dimensions` is {dimensions}; the model allows {allowed}.", param="dimensions"
            )

    def _sample(self) -> EmbedItem:
        return EmbedItem(next(self._tokenizer.encode(["a"])))


def _checked(vectors: Vector) -> list[Vector | JobError]:
    """The rows of (items, dimensions), an error in place of each that is not of length 1."""
    norms = np.linalg.norm(vectors, axis=1)
    outcomes: list[Vector | JobError] = list(vectors)
    for place in np.flatnonzero(~(np.abs(norms - 1) <= MAX_NORM_ERROR)):  # NaN compares false
        outcomes[place] = InternalError(
            f"The model made a vector of length {norms[place]:.3g}; it must be 1."
        )
    return outcomes
