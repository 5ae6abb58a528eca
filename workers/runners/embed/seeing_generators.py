"""Vision-language models as embedding models: the mean of the last hidden states of a text, or of a page with pictures.

Pages are computed one at a time, as each family of mlx-vlm takes them; texts share batches.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn

from jobs.errors import InputTooLong, InvalidInput, JobError
from jobs.generation import ImagePart, TextPart
from jobs.types import Page
from workers.runners.embed.generators import check_reads_onwards, pooled_recipe
from workers.runners.embed.model import EmbedModel, Network
from workers.runners.embed.pooling import normalise, pool
from workers.runners.embed.runner import EmbedItem, EmbedRunner
from workers.runners.embed.tap import tap_last_norm
from workers.runners.folder import read_json
from workers.runners.generate.picture_prefill import SeenPrompt
from workers.runners.generate.picture_prompts import PicturePrompts
from workers.runners.generate.vision import open_prompts, open_vision_model, tokens_known
from workers.runners.generate.vision_decoder import rows_of
from workers.runners.pages.pictures import blank_picture

TEXTS_ONLY = frozenset({"gemma3", "paligemma", "moondream2", "moondream3", "falcon_ocr"})
"""Types whose pages are not served: mlx-vlm (0.7.10) masks them itself, and of Gemma 3 otherwise than it was trained:
the words of a page see those after them, and windows are left out.
"""


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
        super().__init__(model_id, folder, model)

    def load(self) -> Iterator[None]:
        """Raises InvalidInput for weights that make no sound vector, of a page neither."""
        yield from super().load()
        if "vision" not in self.info.abilities:
            return
        page = self._page(Page((ImagePart(blank_picture()),)), "")
        if isinstance(self.run([page])[0], JobError):
            raise InvalidInput(f"{self._folder}: the model makes vectors that are not finite.", param="model")

    def _page(self, page: Page, prompt: str) -> EmbedItem:
        if "vision" not in self.info.abilities:
            raise InvalidInput("of this model, texts are served, and no pictures.", param="input")
        parts = (TextPart(prompt), *page.parts) if prompt else page.parts
        reading = self._prompts.page(parts, "input")
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
        vectors = pool(encoder.seen(item), mx.array([item.length]), self._recipe.pooling)
        mx.async_eval(vectors)  # the device begins, while the next page is prepared
        return normalise(vectors)


def open_seeing_generator(folder: Path) -> tuple[EmbedModel, PicturePrompts]:
    """A vision-language model's folder, and what makes prompts of pages for it. Raises InvalidInput."""
    config = read_json(folder / "config.json")
    text: dict[str, Any] = {**config, **(config.get("text_config") or {})}
    for part in (config, text):
        check_reads_onwards(folder, part)
    model = open_vision_model(folder.name, folder)
    _, prompts = open_prompts(folder.name, folder, config, model)
    looks = prompts.takes_pictures and config.get("model_type") not in TEXTS_ONLY
    abilities = ("vision",) if looks else ()
    network = partial(_network, folder)
    recipe = pooled_recipe(folder, text)
    return EmbedModel(recipe, network, tokens_known(model), pad=0, abilities=abilities), prompts


def _network(folder: Path) -> Network:
    try:
        encoder = SeeingGenerator(open_vision_model(folder.name, folder))
        encoder.hidden(
            mx.zeros((1, 2), dtype=mx.int32), None
        )  # nothing is computed, but what cannot be, is found
    except InvalidInput as error:
        raise InvalidInput(f"{folder.name} cannot embed: {error.message}", param="model") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise InvalidInput(f"{folder.name} cannot embed: {error}.", param="model") from error
    return Network(encoder, [])
