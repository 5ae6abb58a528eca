"""What a model is for, as its folder and its names tell. Imports no MLX."""

import json
import logging
from pathlib import Path
from typing import Any

from jobs.catalogue.entry import Kind
from jobs.errors import InvalidInput
from workers.families import CLASSIFIER_TYPES, EMBEDDER_TYPES, FAMILIES, MultiVector, family_of
from workers.models.resolve import LocalModel
from workers.runners.checkpoint.folder import no_weights, read_json

logger = logging.getLogger(__name__)


def config_of(model: LocalModel) -> dict[str, Any]:
    """config.json's. Raises InvalidInput."""
    try:
        return json.loads((model.folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInput(f"{model.folder / 'config.json'} is not valid JSON.", param="model") from error


def type_of(model: LocalModel) -> str:
    """config.json's model_type. Raises InvalidInput."""
    return str(config_of(model).get("model_type", ""))


def has_vision(model: LocalModel) -> bool:
    """Whether the model has a vision tower. Raises InvalidInput."""
    return bool(config_of(model).get("vision_config"))


def reranks(model: LocalModel) -> bool:
    """Whether it is a reranker, by its architecture, its name, or sentence-transformers' files: others of its type
    generate or embed. Raises InvalidInput.
    """
    architectures = config_of(model).get("architectures") or ()
    marked = "rerank" in _names(model) or (model.folder / "1_LogitScore").exists()
    return marked or any(str(each).endswith("ForSequenceClassification") for each in architectures)


def multi_vector_of(folder: Path, config: dict[str, Any]) -> MultiVector | None:
    """By its config's words or, where those are the vision model's own, by its weights' names. None: another model.

    Raises InvalidInput where those cannot be read.
    """
    model_type, architectures = config.get("model_type"), config.get("architectures") or ()
    rows = [(family, family.multi_vector) for family in FAMILIES if family.multi_vector]
    for family, found in rows:
        if (found.own_type and model_type == found.own_type) or found.architecture in architectures:
            return found
        if found.wrapper_type and model_type == found.wrapper_type:
            wrapped = (config.get("vlm_config") or {}).get("model_type")
            return found if wrapped == family.model_type else None
        if model_type == family.model_type:
            return found if _has_projection(folder, found) else None
    return None


def embeds(model: LocalModel, model_type: str) -> bool:
    """Whether it is an embedding model. Where generators have the same type, the folder or the name must say so."""
    family = family_of(model_type)
    if family is None or family.embedding is None:
        return False
    if (
        not family.generates
        or (model.folder / "modules.json").exists()
        or (model.folder / "1_Pooling").exists()
    ):
        return True
    if "embed" not in _names(model):
        return False
    if "embed" not in _folder_names(model):
        logger.warning("model is taken for an embedding model by its alias", extra={"model": model.id})
    return True


def kind_of(model: LocalModel) -> Kind:
    """What its files say that it is for. Raises InvalidInput where they cannot be read."""
    config = config_of(model)
    if reranks(model):
        return "reranker"
    if multi_vector_of(model.folder, config) or embeds(model, type_of(model)):
        return "embedding"
    return "vlm" if has_vision(model) else "llm"


def unknown_type(model: LocalModel, model_type: str) -> InvalidInput:
    """For a model that nobody here can run."""
    return InvalidInput(
        f"{model.id} is of type {model_type!r}, which cannot be served. Served are text generators that mlx-lm knows, "
        f"vision models that mlx-vlm knows, embedding models of the types {', '.join(EMBEDDER_TYPES)}, and rerankers: "
        f"classifiers of the types {', '.join(CLASSIFIER_TYPES)}, and Qwen3-Reranker and Qwen3-VL-Reranker.",
        param="model",
    )


def _names(model: LocalModel) -> str:
    """All that the model is called, in lower case. With a task, its alias tells what it is for, not what it is."""
    return _folder_names(model) if model.task else f"{model.id.lower()} {_folder_names(model)}"


def _folder_names(model: LocalModel) -> str:
    cached = [part for part in model.folder.parts if part.startswith("models--")]  # the hub's name of it
    return " ".join([model.folder.name, *cached]).lower()


def _has_projection(folder: Path, family: MultiVector) -> bool:
    if family.projection_folder and (folder / family.projection_folder).is_dir():
        return True
    starts = tuple(f"{layer}." for layer in family.projections)
    return any(name.startswith(starts) for name in _weight_names(folder))


def _weight_names(folder: Path) -> list[str]:
    index = read_json(folder / "model.safetensors.index.json")
    if index:
        return list(index.get("weight_map") or ())
    from safetensors import SafetensorError, safe_open

    names: list[str] = []
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(str(file), framework="numpy") as opened:
                names += opened.keys()
        except (SafetensorError, OSError) as error:
            raise no_weights(file, error) from error
    return names
