"""Chats and prompts with images in, answers out: a vision model of mlx-vlm."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlx_lm.tokenizer_utils import TokenizerWrapper
from mlx_lm.tokenizer_utils import load as load_tokenizer
from mlx_vlm.utils import load_image_processor, load_model, load_processor

from jobs.errors import InvalidInput
from jobs.generate import Chat, GenerateJob
from workers.runners.generate.contract import Decoder
from workers.runners.generate.output.end_tokens import end_ids
from workers.runners.generate.prompts import PromptInputs
from workers.runners.generate.runner import GenerateRunner, Network
from workers.runners.generate.vision.decoder import VisionDecoder
from workers.runners.generate.vision.image_prompts import ImagePrompts

IMAGE_IDS = ("image_token_id", "image_token_index")
"""Names under which configs have the id of the token that stands for an image."""


class VisionRunner(GenerateRunner):
    """A vision model. Images are decoded and cut up in `prepare`; the device's thread encodes them.

    Prompts and answers are otherwise a text model's. An answer with images is not kept in the prefix cache.
    """

    def _open(self) -> Network:
        unsupported = "an adapter" if self._files.adapter else "a draft model" if self._files.draft else None
        if unsupported:
            raise InvalidInput(
                f"{self._id} is a vision model, which cannot have {unsupported}.", param="model"
            )
        return Network(open_vision_model(self._id, self._files.folder), None)

    def _read_tokenizer(self, model: Any, config: Mapping[str, Any]) -> TokenizerWrapper:
        tokenizer, self._prompts = open_prompts(self._id, self._files.folder, config, model)
        return tokenizer

    def _new_decoder(self, network: Network) -> Decoder:
        return VisionDecoder(
            network.model,
            self._tokenizer.eos_token_ids,
            self._sampler_and_processors,
            slots=self._slots,
            prefix_cache_bytes=self._prefix_cache_bytes,
        )

    def _tokens_known(self, model: Any, text_config: Mapping[str, Any]) -> int:
        return tokens_known(model)

    def _abilities(self) -> tuple[str, ...]:
        return (*super()._abilities(), *(["vision"] if self._prompts.takes_images else []))

    def _read(self, job: GenerateJob) -> PromptInputs:
        return self._prompts.read(job)

    def _text_of(self, chat: Chat) -> str:
        return self._prompts.text_of(chat)


def open_vision_model(name: str, folder: Path) -> Any:
    """mlx-vlm's model of the folder, weights not read yet. name: for messages. Raises InvalidInput."""
    try:
        return load_model(folder, lazy=True)
    except Exception as error:
        # Configs of many makers are read here, with as many kinds of errors.
        raise InvalidInput(f"{name} cannot be loaded by mlx-vlm: {error}.", param="model") from error


def open_prompts(
    name: str, folder: Path, config: Mapping[str, Any], model: Any
) -> tuple[TokenizerWrapper, ImagePrompts]:
    """A vision model's tokenizer, and what makes prompts for it. name: for messages. Raises InvalidInput."""
    try:
        processor = load_processor(folder, eos_token_ids=getattr(model.config, "eos_token_id", None))
        if own := load_image_processor(folder):
            processor.image_processor = own
    except Exception as error:  # as for configs
        raise InvalidInput(f"{name} cannot be loaded by mlx-vlm: {error}.", param="model") from error
    ends = end_ids(folder, config, getattr(processor, "additional_eos_token_ids", None) or ())
    tokenizer = load_tokenizer(folder, _template_of(processor), eos_token_ids=ends)
    image_ids = [config[key] for key in IMAGE_IDS if isinstance(config.get(key), int)]
    return tokenizer, ImagePrompts(tokenizer, processor, image_ids, tokens_known(model))


def tokens_known(model: Any) -> int:
    """Gemma 3's files leave it to the code that reads them."""
    return int(model.config.text_config.vocab_size)


def _template_of(processor: Any) -> dict[str, Any]:
    """The chat template, which many vision models have beside their tokenizer, not in it."""
    own = getattr(getattr(processor, "tokenizer", None), "chat_template", None)
    template = getattr(processor, "chat_template", None) or own
    return {"chat_template": template} if template else {}
