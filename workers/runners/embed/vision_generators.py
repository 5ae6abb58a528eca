"""Vision-language models as embedding models: the mean of the last hidden states of a text, or of texts with images, or
what the folder's sentence-transformers files say.

Inputs with images are computed one at a time, as each family of mlx-vlm takes them; texts share batches.
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
from jobs.errors import InvalidInput, JobError
from workers.families import TEXT_ONLY_EMBEDDERS
from workers.runners.checkpoint.folder import read_json
from workers.runners.contract import caught
from workers.runners.embed.last_hidden_state import capture_last_hidden_state
from workers.runners.embed.model import EmbedModel, Network
from workers.runners.embed.recipe import Recipe
from workers.runners.embed.runner import EmbedItem, EmbedRunner
from workers.runners.embed.text_generators import check_is_causal, network_of, recipe_of, text_config_of
from workers.runners.generate.vision.decoder import language_model_of
from workers.runners.generate.vision.image_prefill import EmbeddedPrompt
from workers.runners.generate.vision.image_prompts import ImagePrompts
from workers.runners.generate.vision.runner import open_prompts, open_vision_model, tokens_known
from workers.runners.tokens.tokenizer import Ids, too_many_tokens
from workers.runners.vision.images import blank_image, cancel, decode, decoding_threads
from workers.runners.vision.patches import MAX_PIXELS


class DecodingInput(MixedInput, frozen=True):
    """An input whose images are being decoded and scaled down."""

    images: tuple[Future[Image.Image], ...]
    """Those of its parts, in order."""


@dataclass(frozen=True, slots=True)
class VisionItem(EmbedItem):
    """An input with images as the model reads it."""

    image_inputs: Mapping[str, Any]
    """What the model's processor makes of the images (workers.runners.generate.vision.image_prefill.ImageInputs)."""


class VisionGenerator(nn.Module):
    """A vision model of mlx-vlm (workers.runners.embed.model.Encoder)."""

    def __init__(self, model: Any) -> None:
        """Raises InvalidInput for a model whose texts cannot be told apart in a batch."""
        super().__init__()
        self.model = model
        self._language = language_model_of(model)
        self._last_hidden_state = capture_last_hidden_state(model.language_model)

    def hidden(self, ids: mx.array, real: mx.array | None) -> mx.array:
        # It reads from left to right, and is padded on the right: a real token never sees padding.
        self._language(ids, self._language.make_cache())
        return self._last_hidden_state.take(*ids.shape)

    def hidden_of(self, item: VisionItem) -> mx.array:
        """The last hidden states of one input: (1, tokens, size). Nothing is left of the input before it."""
        EmbeddedPrompt(self.model, self._language, item.ids.tolist(), item.image_inputs).read(0, item.length)
        return self._last_hidden_state.take(1, item.length)


class VisionEmbedRunner(EmbedRunner):
    """A vision-language model that embeds. Images are decoded and processed in `prepare`."""

    def __init__(self, model_id: str, folder: Path, opened: tuple[EmbedModel, ImagePrompts]) -> None:
        """opened: as open_vision_generator does."""
        model, self._prompts = opened
        self._threads = decoding_threads()
        super().__init__(model_id, folder, model)

    def prepare(self, jobs: Sequence[EmbedJob]) -> Sequence[list[EmbedItem] | JobError]:
        """Images of all jobs are decoded at once, which releases the GIL; then each input is processed by itself."""
        return super().prepare([self._decoding_job(job) for job in jobs])

    def _samples(self) -> Sequence[Sequence[EmbedItem]]:
        samples = super()._samples()
        if "vision" not in self.info.abilities:
            return samples
        return [*samples, [self._mixed(MixedInput((ImagePart(blank_image()),)), "")]]

    def _decoding_job(self, job: EmbedJob) -> EmbedJob:
        """The job with its images being decoded; as it is, if it will be refused."""
        if "vision" not in self.info.abilities or isinstance(caught(self._prompt, job), JobError):
            return job
        inputs = [self._decoding(value) if isinstance(value, MixedInput) else value for value in job.inputs]
        return msgspec.structs.replace(job, inputs=tuple(inputs))

    def _decoding(self, value: MixedInput) -> DecodingInput:
        images = [part.data for part in value.parts if isinstance(part, ImagePart)]
        return DecodingInput(value.parts, tuple(self._threads.submit(_decoded, each) for each in images))

    def _items(self, job: EmbedJob, prompt: str, encoded: Iterator[Ids]) -> list[EmbedItem] | JobError:
        try:
            return super()._items(job, prompt, encoded)
        finally:
            cancel(each for value in job.inputs if isinstance(value, DecodingInput) for each in value.images)

    def _mixed(self, value: MixedInput, prompt: str) -> EmbedItem:
        if "vision" not in self.info.abilities:
            raise InvalidInput("of this model, texts are served, and no images.", param="input")
        decoding = value if isinstance(value, DecodingInput) else self._decoding(value)
        self._tokenizer.check_mixed([part.text for part in value.parts if isinstance(part, TextPart)])
        decoded = iter(decoding.images)
        parts = [part.text if isinstance(part, TextPart) else next(decoded).result() for part in value.parts]
        inputs = self._prompts.mixed([prompt, *parts] if prompt else parts, "input")
        ids = np.asarray(inputs.ids, dtype=np.int32)
        if len(ids) > self.info.max_tokens:
            raise too_many_tokens(len(ids), self.info.max_tokens)
        return VisionItem(ids, inputs.image_inputs or {})

    def _vectors(self, network: Network, items: Sequence[EmbedItem]) -> mx.array:
        texts = [index for index, item in enumerate(items) if not isinstance(item, VisionItem)]
        mixed = {index: item for index, item in enumerate(items) if isinstance(item, VisionItem)}
        parts = [super()._vectors(network, [items[index] for index in texts])] if texts else []
        parts += [self._vector(network, item) for item in mixed.values()]
        order = np.argsort([*texts, *mixed]).astype(np.int32)
        return mx.concatenate(parts)[mx.array(order)]

    def _vector(self, network: Network, item: VisionItem) -> mx.array:
        encoder = network.encoder
        assert isinstance(encoder, VisionGenerator)
        vector = self._pooled(network, encoder.hidden_of(item), mx.array([item.length]))
        mx.async_eval(vector)  # the device begins, while the next input is prepared
        return vector


def open_vision_generator(folder: Path) -> tuple[EmbedModel, ImagePrompts]:
    """A vision-language model's folder, and what makes its prompts. Raises InvalidInput."""
    config = read_json(folder / "config.json")
    for part in (config, text_config_of(config)):
        check_is_causal(folder, part)
    model = open_vision_model(folder.name, folder)
    _, prompts = open_prompts(folder.name, folder, config, model)
    takes_images = prompts.takes_images and config.get("model_type") not in TEXT_ONLY_EMBEDDERS
    abilities = ("vision",) if takes_images else ()
    recipe = recipe_of(folder, config)
    network = partial(_network, folder, recipe)
    return EmbedModel(recipe, network, tokens_known(model), pad=0, abilities=abilities), prompts


def scaled_down(image: Image.Image, most_pixels: int) -> Image.Image:
    """Scaled down to so many pixels, its proportions kept, if it has more."""
    width, height = image.size
    if width * height <= most_pixels:
        return image
    scale = (most_pixels / (width * height)) ** 0.5
    # A side has at least one pixel. A line that is still too long is cut; no model takes such an image.
    size = [min(max(1, int(side * scale)), most_pixels) for side in image.size]
    return image.resize((size[0], size[1]), Image.Resampling.BICUBIC)


def _decoded(encoded: bytes) -> Image.Image:
    """Decoded, and scaled down to what ColQwen reads: processors make hundreds of megabytes of a whole photograph."""
    return scaled_down(decode(encoded, "input"), MAX_PIXELS)


def _network(folder: Path, recipe: Recipe) -> Network:
    return network_of(folder, open_vision_model(folder.name, folder), VisionGenerator, recipe)
