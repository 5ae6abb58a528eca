"""What a model is for, as its folder and its names tell."""

import json
import logging
from typing import Any

from jobs.errors import InvalidInput
from workers.models.resolve import LocalModel

logger = logging.getLogger(__name__)

PAGE_EMBED_TYPES = ("qwen3_vl", "qwen3_vl_embedding")
EMBED_TYPES = ("bert", "xlm-roberta", "modernbert", "qwen3", "gemma3_text", *PAGE_EMBED_TYPES)
# The same types exist as generators; only these marks tell an embedding model.
AMBIGUOUS_TYPES = ("qwen3", "gemma3_text", "qwen3_vl")
RERANK_TYPES = ("bert", "xlm-roberta", "modernbert")


def type_of(model: LocalModel) -> str:
    """config.json's model_type. Raises InvalidInput."""
    return str(config_of(model).get("model_type", ""))


def sees(model: LocalModel) -> bool:
    """Whether the model has a part that looks at pictures. Raises InvalidInput."""
    return bool(config_of(model).get("vision_config"))


def embeds(model: LocalModel, model_type: str) -> bool:
    """Whether it is an embedding model: some types are those of generators, too, and only marks tell."""
    if model_type not in AMBIGUOUS_TYPES:
        return model_type in EMBED_TYPES
    if (model.folder / "modules.json").exists() or (model.folder / "1_Pooling").exists():
        return True
    if "embed" not in _names(model):
        return False
    if "embed" not in _folder_names(model):
        logger.warning("model is taken for an embedding model by its alias", extra={"model": model.id})
    return True


def reranks(model: LocalModel) -> bool:
    """Whether it is a reranker, by its architecture, its name, or sentence-transformers' files: others of its type
    generate or embed. Raises InvalidInput.
    """
    architectures = config_of(model).get("architectures") or ()
    marked = "rerank" in _names(model) or (model.folder / "1_LogitScore").exists()
    return marked or any(str(each).endswith("ForSequenceClassification") for each in architectures)


def unknown_type(model: LocalModel, model_type: str) -> InvalidInput:
    """For a model that nobody here can run."""
    return InvalidInput(
        f"{model.id} is of type {model_type!r}, which cannot be served. Served are text generators that mlx-lm knows, "
        f"vision models that mlx-vlm knows, embedding models of the types {', '.join(EMBED_TYPES)}, and rerankers: "
        f"classifiers of the types {', '.join(RERANK_TYPES)}, and Qwen3-Reranker and Qwen3-VL-Reranker.",
        param="model",
    )


def _names(model: LocalModel) -> str:
    """All that the model is called, in lower case. With a task, its alias tells what it is for, not what it is."""
    return _folder_names(model) if model.task else f"{model.id.lower()} {_folder_names(model)}"


def _folder_names(model: LocalModel) -> str:
    cached = [part for part in model.folder.parts if part.startswith("models--")]  # the hub's name of it
    return " ".join([model.folder.name, *cached]).lower()


def config_of(model: LocalModel) -> dict[str, Any]:
    """config.json's. Raises InvalidInput."""
    try:
        return json.loads((model.folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInput(f"{model.folder / 'config.json'} is not valid JSON.", param="model") from error
