"""Vision-language models as embedding models: the mean of the last hidden states of a text, or of a page with pictures,
or what the folder's sentence-transformers files say.

Pages are computed one at a time, as each family of mlx-vlm takes them; texts share batches.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx
import msgspec
import numpy as np
from mlx import nn
from PIL import Image

from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import EmbedJob
from jobs.errors import InputTooLong, InvalidInput, JobError
from workers.runners.checkpoint.folder import read_json
from workers.runners.contract import caught, check_finite
from workers.runners.embed.last_hidden_state import tap_last_norm
from workers.runners.embed.model import EmbedModel, Network
from workers.runners.embed.recipe import Recipe
from workers.runners.embed.runner import EmbedItem, EmbedRunner
from workers.runners.embed.text_generators import check_reads_onwards, network_of, recipe_of, text_config_of
from workers.runners.generate.vision.decoder import rows_of
from workers.runners.generate.vision.image_prefill import SeenPrompt
from workers.runners.generate.vision.image_prompts import PicturePrompts
from workers.runners.generate.vision.runner import open_prompts, open_vision_model, tokens_known
from workers.runners.tokens.tokenizer import Ids
from workers.runners.vision.images import blank_picture, decode, decoding_threads, leave
from workers.runners.vision.patches import MAX_PIXELS

TEXTS_ONLY = frozenset({"gemma3", "paligemma", "moondream2", "moondream3", "falcon_ocr"})
"""Types whose pages are not served: mlx-vlm (0.7.10) masks them itself, and of Gemma 3 otherwise than it was trained:
the words of a page see those after them, and windows are left out.
"""


class BegunPage(MixedInput, frozen=True):
    """pictures: those of its parts, in order, which are being decoded and scaled down."""

    pictures: tuple[Future[Image.Image], ...]


@dataclass(frozen=True, slots=True)
class SeenItem(EmbedItem):
    """A page as the model reads it. pictures: what its processor makes of them (picture_prefill.Inputs)."""

    pictures: Mapping[str, Any]


class SeeingGenerator(nn.Module):
    """A vision model of mlx-vlm (workers.runners.embed.model.Encoder)."""

    def __init__(self, model: Any) -> None:
        """Raises InvalidInput for a model whose texts cannot be told apart in a batch."""
        super().__init__()
        self.model = model
        self._rows = rows_of(model)
        self._tap = tap_last_norm(model.language_model)

    def hidden(self, ids: mx.array, real: mx.array | None) -> mx.array:
        # It reads from left to right, and is padded on the right: a real token never sees padding.
        self._rows(ids, self._rows.make_cache())
        return self._tap.take(*ids.shape)

    def seen(self, item: SeenItem) -> mx.array:
        """The last hidden states of one page: (1, tokens, size). Nothing is left of the page before it."""
        SeenPrompt(self.model, self._rows, item.ids.tolist(), item.pictures).read(0, item.length)
        return self._tap.take(1, item.length)


class SeeingEmbedRunner(EmbedRunner):
    """A vision-language model that embeds. Pictures are decoded and cut up in `prepare`."""

    def __init__(self, model_id: str, folder: Path, opened: tuple[EmbedModel, PicturePrompts]) -> None:
        """opened: as open_seeing_generator does."""
        model, self._prompts = opened
        self._threads = decoding_threads()
        super().__init__(model_id, folder, model)

    def load(self) -> Iterator[None]:
        """Raises InvalidInput for weights that make no sound vector, of a page neither."""
        yield from super().load()
        if "vision" not in self.info.abilities:
            return
        page = self._page(MixedInput((ImagePart(blank_picture()),)), "")
        check_finite(self.run([page]), self._folder, "vectors")

    def prepare(self, jobs: Sequence[EmbedJob]) -> Sequence[list[EmbedItem] | JobError]:
        """Pictures of all jobs are decoded at once, which releases the GIL; each page is then cut up by itself."""
        return super().prepare([self._begun(job) for job in jobs])

    def _begun(self, job: EmbedJob) -> EmbedJob:
        """The job with its pages' pictures on their way, or as it is, if it will be refused."""
        if "vision" not in self.info.abilities or isinstance(caught(self._prompt, job), JobError):
            return job
        inputs = [self._begin(value) if isinstance(value, MixedInput) else value for value in job.inputs]
        return msgspec.structs.replace(job, inputs=tuple(inputs))

    def _begin(self, page: MixedInput) -> BegunPage:
        pictures = [part.data for part in page.parts if isinstance(part, ImagePart)]
        return BegunPage(page.parts, tuple(self._threads.submit(_picture, each) for each in pictures))

    def _items(self, job: EmbedJob, prompt: str, encoded: Iterator[Ids]) -> list[EmbedItem] | JobError:
        try:
            return super()._items(job, prompt, encoded)
        finally:
            leave(each for page in job.inputs if isinstance(page, BegunPage) for each in page.pictures)

    def _page(self, page: MixedInput, prompt: str) -> EmbedItem:
        if "vision" not in self.info.abilities:
            raise InvalidInput("of this model, texts are served, and no pictures.", param="input")
        begun = page if isinstance(page, BegunPage) else self._begin(page)
        self._tokenizer.check_page([part.text for part in page.parts if isinstance(part, TextPart)])
        decoded = iter(begun.pictures)
        parts = [part.text if isinstance(part, TextPart) else next(decoded).result() for part in page.parts]
        reading = self._prompts.page([prompt, *parts] if prompt else parts, "input")
        ids = np.asarray(reading.ids, dtype=np.int32)
        if len(ids) > self.info.max_tokens:
            raise InputTooLong(
                f"the page has {len(ids)} tokens, and the model reads at most {self.info.max_tokens}.",
                param="input",
            )
        return SeenItem(ids, reading.pictures or {})

    def _vectors(self, items: Sequence[EmbedItem]) -> mx.array:
        texts = [place for place, item in enumerate(items) if not isinstance(item, SeenItem)]
        pages = {place: item for place, item in enumerate(items) if isinstance(item, SeenItem)}
        parts = [super()._vectors([items[place] for place in texts])] if texts else []
        parts += [self._vector(item) for item in pages.values()]
        order = np.argsort([*texts, *pages]).astype(np.int32)
        return mx.concatenate(parts)[mx.array(order)]

    def _vector(self, item: SeenItem) -> mx.array:
        assert self._network is not None, "loaded first"
        encoder = self._network.encoder
        assert isinstance(encoder, SeeingGenerator)
        vector = self._pooled(encoder.seen(item), mx.array([item.length]))
        mx.async_eval(vector)  # the device begins, while the next page is prepared
        return vector


def open_seeing_generator(folder: Path) -> tuple[EmbedModel, PicturePrompts]:
    """A vision-language model's folder, and what makes prompts of pages for it. Raises InvalidInput."""
    config = read_json(folder / "config.json")
    for part in (config, text_config_of(config)):
        check_reads_onwards(folder, part)
    model = open_vision_model(folder.name, folder)
    _, prompts = open_prompts(folder.name, folder, config, model)
    looks = prompts.takes_pictures and config.get("model_type") not in TEXTS_ONLY
    abilities = ("vision",) if looks else ()
    recipe = recipe_of(folder, config)
    network = partial(_network, folder, recipe)
    return EmbedModel(recipe, network, tokens_known(model), pad=0, abilities=abilities), prompts


def within(picture: Image.Image, most_pixels: int) -> Image.Image:
    """Scaled down to so many pixels, its proportions kept, if it has more."""
    width, height = picture.size
    if width * height <= most_pixels:
        return picture
    scale = (most_pixels / (width * height)) ** 0.5
    # A line stays one, and is cut where it is still too long; no model takes it.
    size = [min(max(1, int(side * scale)), most_pixels) for side in picture.size]
    return picture.resize((size[0], size[1]), Image.Resampling.BICUBIC)


def _picture(encoded: bytes) -> Image.Image:
    """As large as ColQwen reads it: what processors make of a photograph as it came is hundreds of megabytes."""
    return within(decode(encoded, "input"), MAX_PIXELS)


def _network(folder: Path, recipe: Recipe) -> Network:
    return network_of(folder, open_vision_model(folder.name, folder), SeeingGenerator, recipe)
