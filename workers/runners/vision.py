"""Chats and prompts with pictures in, answers out: a vision model of mlx-vlm."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlx_lm.tokenizer_utils import TokenizerWrapper
from mlx_lm.tokenizer_utils import load as load_tokenizer
from mlx_vlm.utils import load as load_vision

from jobs.errors import InvalidInput
from jobs.generation import GenerateJob
from workers.runners.generate import GenerateRunner
from workers.runners.picture_prompts import PicturePrompts
from workers.runners.prompts import Reading
from workers.runners.recipe import read_json
from workers.runners.vision_decoder import VisionDecoder

IMAGE_IDS = ("image_token_id", "image_token_index")
"""Names under which configs have the id of the token that stands for a picture."""


class VisionRunner(GenerateRunner):
    """A loaded vision model. Pictures are decoded and cut up in `prepare`; the device's thread encodes them.

    Prompts and answers are otherwise a text model's. An answer with pictures is not kept in the prefix cache.
    """

    _new_decoder = VisionDecoder

    def _load(self, model_id: str, folder: Path) -> tuple[Any, TokenizerWrapper]:
        try:
            loaded: tuple[Any, Any] = load_vision(str(folder))
        except Exception as error:
            # Configs and processors of many makers are read here, with as many kinds of errors.
            raise InvalidInput(f"{model_id} cannot be loaded by mlx-vlm: {error}.", param="model") from error
        model, processor = loaded
        config = read_json(folder / "config.json")
        tokenizer = load_tokenizer(folder, _template_of(processor), eos_token_ids=_end_ids(folder, config))
        image_ids = [config[name] for name in IMAGE_IDS if isinstance(config.get(name), int)]
        vocab_size = int(model.config.text_config.vocab_size)
        self._prompts = PicturePrompts(tokenizer, processor, image_ids, vocab_size)
        return model, tokenizer

    def _tokens_known(self, text_config: Mapping[str, Any]) -> int:
        """Gemma 3's files leave it to the code that reads them."""
        return int(self._model.config.text_config.vocab_size)

    def _abilities(self) -> tuple[str, ...]:
        return (*super()._abilities(), *(["vision"] if self._prompts.takes_pictures else []))

    def _read(self, job: GenerateJob) -> Reading:
        return self._prompts.read(job)


def _template_of(processor: Any) -> dict[str, Any]:
    """The chat template, which many vision models have beside their tokenizer, not in it."""
    own = getattr(getattr(processor, "tokenizer", None), "chat_template", None)
    template = getattr(processor, "chat_template", None) or own
    return {"chat_template": template} if template else {}


def _end_ids(folder: Path, config: dict[str, Any]) -> list[int] | None:
    """All tokens that the folder's files call an end; None where it is left to the tokenizer."""
    generation = folder / "generation_config.json"
    sources = [config, config.get("text_config") or {}, read_json(generation) if generation.is_file() else {}]
    found: set[int] = set()
    for source in sources:
        ends = source.get("eos_token_id")
        found.update([ends] if isinstance(ends, int) else ends or [])
    return sorted(found) or None
