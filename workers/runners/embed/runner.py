"""Texts in, unit-length vectors out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
import msgspec
import numpy as np

from jobs.content import MixedInput
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import InvalidInput, JobError
from jobs.models import ModelInfo
from workers.runners.checkpoint.lazy_weights import read, release, size_bytes
from workers.runners.contract import caught, check_finite, named, succeeded
from workers.runners.embed.model import EmbedModel, Network, open_embedding_model
from workers.runners.embed.vectors import Sizes, Vector, checked, result_of
from workers.runners.layers.pooling import normalise, pool
from workers.runners.tokens.tokenizer import Ids, ModelTokenizer, padded, portions
from workers.scheduling.batch_shapes import plans_per_shape, rounded_length


@dataclass(frozen=True, slots=True)
class EmbedItem:
    """One text as the model reads it: ids with special tokens and prompt, int32."""

    ids: Ids

    @property
    def length(self) -> int:
        return len(self.ids)


class Asked(NamedTuple):
    """A job whose long inputs are shortened, and what is read before each of its texts."""

    job: EmbedJob
    prompt: str


class EmbedRunner:
    """An embedding model (workers.runners.contract.BatchRunner)."""

    info: ModelInfo

    def __init__(self, model_id: str, folder: Path, model: EmbedModel | None = None) -> None:
        """model: the folder, opened; None for that of an embedding model. Weights are read by `load`.

        Raises InvalidInput, saying what in it is not supported.
        """
        model = model or open_embedding_model(folder)
        self._folder = folder
        self._recipe = model.recipe
        self._open = model.network
        self._network: Network | None = self._open()
        self.weight_bytes = size_bytes(*self._network.modules)
        self._tokenizer = ModelTokenizer(
            folder / "tokenizer.json",
            self._recipe.max_tokens,
            model.vocab_size,
            self._recipe.lowercase,
        )
        self._pad = model.pad
        self._rounds_shapes = plans_per_shape()
        full = self._vectors([self._sample()]).shape[1]  # known before any weight is
        self._sizes = Sizes(full, self._recipe.min_dimensions, self._recipe.cuts)
        self.info = ModelInfo(
            id=model_id,
            task="embed",
            created=int((folder / "config.json").stat().st_mtime),
            dimensions=full,
            max_tokens=self._recipe.max_tokens,
            min_dimensions=self._recipe.min_dimensions,
            prompts=tuple(self._recipe.prompts),
            abilities=model.abilities,
        )

    def load(self) -> Iterator[None]:
        """Raises InvalidInput for weights that make no sound vector."""
        self._network = self._network or self._open()
        yield from read(*self._network.modules)
        check_finite(self.run([self._sample()]), self._folder, "vectors")  # builds lazy tables, too

    def unload(self) -> None:
        self._network = None
        release()

    def prepare(self, jobs: Sequence[EmbedJob]) -> Sequence[list[EmbedItem] | JobError]:
        """Every text of every job tokenised together, so that all cores work on them."""
        asked = [caught(self._asked, job) for job in jobs]
        found = [each for each in asked if isinstance(each, Asked)]
        texts = [
            [each.prompt + value for value in each.job.inputs if isinstance(value, str)] for each in found
        ]
        encoded = portions(self._tokenizer.encode([*chain(*texts)]), map(len, texts))
        return [
            each if isinstance(each, JobError) else self._items(each.job, each.prompt, next(encoded))
            for each in asked
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
            return checked(np.array(vectors))

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
        return self._pooled(encoder.hidden(mx.array(ids), real), on_device)

    def _pooled(self, hidden: mx.array, lengths: mx.array) -> mx.array:
        """Of hidden states (items, tokens, size), of which so many are real."""
        assert self._network is not None, "loaded first"
        vectors = pool(hidden, lengths, self._recipe.pooling)
        for dense in (*self._network.dense, *getattr(self._network.encoder, "dense", ())):
            vectors = dense(vectors)
        return normalise(vectors.astype(mx.float32))

    def assemble(self, job: EmbedJob, items: Sequence[EmbedItem], outcomes: Sequence[Any]) -> EmbedResult:
        """Cut to the job's dimensions and renormalised. Raises the first item's error, if any has one."""
        return result_of(succeeded(outcomes), job.dimensions, tuple(item.length for item in items))

    def _asked(self, job: EmbedJob) -> Asked:
        """Raises InvalidInput."""
        prompt = self._prompt(job)
        return Asked(msgspec.structs.replace(job, inputs=tuple(self._shortened(job, prompt))), prompt)

    def _shortened(self, job: EmbedJob, prompt: str) -> Iterator[str | tuple[int, ...] | MixedInput]:
        """The inputs, without most of what is cut off. Raises InputTooLong."""
        for index, value in enumerate(job.inputs):
            with named(f"Input {index}"):
                if isinstance(value, str):
                    yield self._tokenizer.shortened(value, job.truncate, prompt)
                elif isinstance(value, MixedInput):
                    yield value
                else:
                    yield tuple(self._tokenizer.shortened_ids(value, job.truncate))

    def _items(self, job: EmbedJob, prompt: str, encoded: Iterator[Ids]) -> list[EmbedItem] | JobError:
        """encoded: ids of this job's texts, taken one by one as far as no input is refused."""
        outcome: list[EmbedItem] = []
        for index, value in enumerate(job.inputs):
            ids = next(encoded) if isinstance(value, str) else None
            try:
                if isinstance(value, MixedInput):
                    outcome.append(self._page(value, prompt))
                else:
                    outcome.append(EmbedItem(self._read(value, ids, prompt, job)))
            except JobError as error:
                return type(error)(f"Input {index}: {error.message}", param=error.param)
        return outcome

    def _page(self, page: MixedInput, prompt: str) -> EmbedItem:
        """What the model reads for a page with pictures. Raises InvalidInput."""
        raise InvalidInput("this model reads texts, and no pictures.", param="input")

    def _read(self, value: str | tuple[int, ...], ids: Ids | None, prompt: str, job: EmbedJob) -> Ids:
        """What the model reads for one input, within its limit."""
        prompt_tokens: int | None = 0 if not prompt else None
        if ids is None:
            assert not isinstance(value, str), "texts are tokenised by now"
            if not value:
                raise InvalidInput("the list of token ids is empty.", param="input")
            ids, prompt_tokens = self._tokenizer.wrap(value, prompt)
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
