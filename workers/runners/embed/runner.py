"""Texts in, unit-length vectors out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
import msgspec
import numpy as np
from tokenizers import Tokenizer

from jobs.content import MixedInput
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import InvalidInput, JobError
from jobs.models import ModelInfo
from workers.runners.batched_runner import BatchedRunner
from workers.runners.checkpoint.folder import written_at
from workers.runners.contract import caught, named, succeeded
from workers.runners.embed.model import EmbedModel, Network, open_embedding_model
from workers.runners.embed.recipe import Sizes
from workers.runners.layers.vectors import Vector, checked, normalise, pool, result_of
from workers.runners.tokens.tokenizer import Ids, ModelTokenizer, padded, portions


@dataclass(frozen=True, slots=True)
class EmbedItem:
    """One text as the model reads it."""

    ids: Ids
    """With special tokens and prompt, int32."""

    @property
    def length(self) -> int:
        return len(self.ids)


class PromptedJob(NamedTuple):
    """A job whose long inputs are shortened."""

    job: EmbedJob
    prompt: str
    """What the model reads before each of its texts."""


class EmbedRunner(BatchedRunner[Network, EmbedItem, Vector]):
    """A model of one vector for a text."""

    def __init__(self, model_id: str, folder: Path, model: EmbedModel | None = None) -> None:
        """model: the folder, opened; None for that of an embedding model. Weights are read by `load`.

        Raises InvalidInput, saying what in it is not supported.
        """
        model = model or open_embedding_model(folder)
        super().__init__(folder, model.network)
        self._recipe = model.recipe
        self._tokenizer = ModelTokenizer(
            folder / "tokenizer.json",
            self._recipe.max_tokens,
            model.vocab_size,
            self._recipe.lowercase,
        )
        self._pad = model.pad
        full = self._vectors(self._loaded(), [self._sample()]).shape[1]  # known before any weight is
        self._sizes = Sizes(full, self._recipe.min_dimensions, self._recipe.cuts)
        self.info = ModelInfo(
            id=model_id,
            task="embed",
            created=written_at(folder),
            dimensions=full,
            max_tokens=self._recipe.max_tokens,
            min_dimensions=self._recipe.min_dimensions,
            prompts=tuple(self._recipe.prompts),
            abilities=model.abilities,
        )

    @property
    def text_tokenizer(self) -> Tokenizer:
        return self._tokenizer.backend

    def prepare(self, jobs: Sequence[EmbedJob]) -> Sequence[list[EmbedItem] | JobError]:
        """Every text of every job tokenised together, so that all cores work on them."""
        prompted = [caught(self._prompted, job) for job in jobs]
        found = [each for each in prompted if isinstance(each, PromptedJob)]
        texts = [
            [each.prompt + value for value in each.job.inputs if isinstance(value, str)] for each in found
        ]
        encoded = portions(self._tokenizer.encode([*chain(*texts)]), map(len, texts))
        return [
            each if isinstance(each, JobError) else self._items(each.job, each.prompt, next(encoded))
            for each in prompted
        ]

    def assemble(self, job: EmbedJob, items: Sequence[EmbedItem], outcomes: Sequence[Any]) -> EmbedResult:
        """Cut to the job's dimensions and renormalised. Raises the first item's error, if any has one."""
        return result_of(succeeded(outcomes), job.dimensions, tuple(item.length for item in items))

    def _samples(self) -> Sequence[Sequence[EmbedItem]]:
        return [[self._sample()]]

    def _outcome_name(self) -> str:
        return "vectors"

    def _compute(self, network: Network, items: Sequence[EmbedItem]) -> mx.array:
        return self._vectors(network, items)

    def _outcomes(self, items: Sequence[EmbedItem], computed: Vector) -> Sequence[Vector | JobError]:
        return checked(computed)

    def _vectors(self, network: Network, items: Sequence[EmbedItem]) -> mx.array:
        """float32, shape (items, dimensions), not computed yet."""
        lengths = np.fromiter((item.length for item in items), dtype=np.int32, count=len(items))
        width = self._width(int(lengths.max()), self._recipe.max_tokens)
        ids = padded([item.ids for item in items], width, self._pad)
        on_device = mx.array(lengths)
        real = None if int(lengths.min()) == width else mx.arange(width) < on_device[:, None]
        return self._pooled(network, network.encoder.hidden(mx.array(ids), real), on_device)

    def _pooled(self, network: Network, hidden: mx.array, lengths: mx.array) -> mx.array:
        """Vectors of hidden states (items, tokens, size), of which so many are real."""
        vectors = pool(hidden, lengths, self._recipe.pooling)
        for dense in network.dense:
            vectors = dense(vectors)
        return normalise(vectors.astype(mx.float32))

    def _prompted(self, job: EmbedJob) -> PromptedJob:
        """Raises InvalidInput."""
        prompt = self._prompt(job)
        return PromptedJob(msgspec.structs.replace(job, inputs=tuple(self._shortened(job, prompt))), prompt)

    def _shortened(self, job: EmbedJob, prompt: str) -> Iterator[str | tuple[int, ...] | MixedInput]:
        """The inputs, without most of what is cut off. Raises InputTooLong."""
        tokenizer = self._tokenizer.limited(job.max_tokens)
        for index, value in enumerate(job.inputs):
            with named(f"Input {index}"):
                if isinstance(value, str):
                    yield tokenizer.shortened(value, job.truncate, prompt)
                elif isinstance(value, MixedInput):
                    yield value
                else:
                    yield tuple(tokenizer.shortened_ids(value, job.truncate))

    def _items(self, job: EmbedJob, prompt: str, encoded: Iterator[Ids]) -> list[EmbedItem] | JobError:
        """encoded: ids of this job's texts, taken one by one as far as no input is refused."""
        outcome: list[EmbedItem] = []
        for index, value in enumerate(job.inputs):
            ids = next(encoded) if isinstance(value, str) else None
            try:
                if isinstance(value, MixedInput):
                    outcome.append(self._mixed(value, prompt))
                else:
                    outcome.append(EmbedItem(self._read(value, ids, prompt, job)))
            except JobError as error:
                return type(error)(f"Input {index}: {error.message}", param=error.param)
        return outcome

    def _mixed(self, value: MixedInput, prompt: str) -> EmbedItem:
        """What the model reads for an input with images. Raises InvalidInput."""
        raise InvalidInput("this model reads texts, and no images.", param="input")

    def _read(self, value: str | tuple[int, ...], ids: Ids | None, prompt: str, job: EmbedJob) -> Ids:
        """What the model reads for one input, within its limit."""
        prompt_tokens: int | None = 0 if not prompt else None
        tokenizer = self._tokenizer.limited(job.max_tokens)
        if ids is None:
            assert not isinstance(value, str), "texts are tokenised by now"
            if not value:
                raise InvalidInput("the list of token ids is empty.", param="input")
            ids, prompt_tokens = self._tokenizer.wrap(value, prompt)
        if not len(ids):
            raise InvalidInput("the text is empty, and this model reads nothing of it.", param="input")
        if len(ids) <= tokenizer.max_tokens:
            return ids
        if prompt_tokens is None and job.truncate != "none":
            prompt_tokens = self._tokenizer.prompt_tokens(prompt, str(value))
        return tokenizer.cut(ids, prompt_tokens or 0, job.truncate)

    def _prompt(self, job: EmbedJob) -> str:
        """What goes before each text, after a check of all that concerns the whole job. Raises InvalidInput."""
        if not job.inputs:
            raise InvalidInput("There is no input: send at least one text.", param="input")
        self._sizes.check(job.dimensions)
        recipe = self._recipe
        if job.instruction is None or job.prompt_name is not None:
            return recipe.prompt_of(job)
        if recipe.instruction_frame is None:
            raise InvalidInput(
                "The model was trained with fixed prompts and takes no instruction. "
                f"Set `prompt_name` to one of: {', '.join(recipe.prompts)}.",
                param="instruction",
            )
        before, after = recipe.instruction_frame
        return f"{before}{job.instruction}{after}"

    def _sample(self) -> EmbedItem:
        return EmbedItem(next(self._tokenizer.encode(["a"])))
