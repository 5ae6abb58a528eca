"""Whether models can be served, as far as their files tell without MLX. A wrong name stops the start at once."""

import importlib.util
import json
import os
from collections.abc import Iterable
from pathlib import Path

from jobs.errors import InvalidInput
from jobs.settings import Settings
from workers.models.detect import config_of, embeds, multi_vector_of, reranks, type_of, unknown_type
from workers.models.resolve import LocalModel, resolve
from workers.scheduling.device_limits import WEIGHTS_SHARE

_HEADER_LENGTH_BYTES = 8


def check_models(settings: Settings) -> tuple[list[LocalModel], bool]:
    """The models that the settings name, and whether they can be served. False: only opening them tells.

    Downloads what is named by its Hugging Face name and not here. Raises UnknownModel, and InvalidInput for models that
    certainly cannot be served.
    """
    models = [resolve(spec) for spec in settings.models]
    check_names(model.id for model in models)
    return models, all(_can_be_served(model, settings) for model in models)


def check_names(ids: Iterable[str]) -> None:
    """Raises InvalidInput where two models have one name."""
    seen = set[str]()
    for model in ids:
        if model in seen:
            raise InvalidInput(
                f"Two models are called {model}: give one of them another name, as ALIAS=MODEL.",
                param="model",
            )
        seen.add(model)


def _can_be_served(model: LocalModel, settings: Settings) -> bool:
    weights = sorted(model.folder.glob("*.safetensors"))
    if not (weights and (model.folder / "tokenizer.json").is_file() and all(map(_is_whole, weights))):
        return False
    if not _is_known(model):
        return False
    size_bytes = sum(file.stat().st_size for file in weights)
    return size_bytes < (settings.model_bytes or WEIGHTS_SHARE * _machine_bytes())


def _is_known(model: LocalModel) -> bool:
    """Whether its type is one of ours or of the libraries'. Raises InvalidInput where it certainly is not."""
    config, model_type = config_of(model), type_of(model)
    if reranks(model) or multi_vector_of(model.folder, config) or embeds(model, model_type):
        return True
    lm, vlm = _library("mlx_lm"), _library("mlx_vlm")
    if model_type and (
        (lm / "models" / f"{model_type}.py").is_file() or (vlm / "models" / model_type).is_dir()
    ):
        return True
    # mlx-vlm has other names for some types, and tells some models by other words; importing it takes seconds.
    renaming = (vlm / "utils.py").read_text(encoding="utf-8")
    words = [model_type.lower(), *map(str, config.get("architectures") or ())]
    if not model_type or "dflash_config" in config or any(f'"{word}"' in renaming for word in words):
        return False
    raise unknown_type(model, model_type)


def _library(name: str) -> Path:
    """Its folder. Does not import it. Raises InvalidInput."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise InvalidInput(f"{name} is not installed: install mlxq again.")
    return Path(spec.origin).parent


def _is_whole(file: Path) -> bool:
    """Whether a safetensors file has the length that its header tells
    (https://huggingface.co/docs/safetensors: the header's length, the header in JSON, the tensors' bytes).
    """
    size_bytes = file.stat().st_size
    with file.open("rb") as opened:
        length_bytes = int.from_bytes(opened.read(_HEADER_LENGTH_BYTES), "little")
        if not 0 < length_bytes <= size_bytes - _HEADER_LENGTH_BYTES:
            return False
        try:
            header = json.loads(opened.read(length_bytes))
            ends = [each["data_offsets"][1] for name, each in header.items() if name != "__metadata__"]
        except (ValueError, AttributeError, KeyError, TypeError, IndexError):
            return False
    return _HEADER_LENGTH_BYTES + length_bytes + max(ends, default=0) == size_bytes


def _machine_bytes() -> int:
    """The machine's memory. A GPU's own is known to MLX alone, and asked for when the models are opened."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
