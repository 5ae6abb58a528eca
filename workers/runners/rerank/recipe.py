"""How a reranker's folder says its scores are made: which kind of model, its limits, what becomes of its logit."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.errors import InvalidInput
from workers.families import CLASSIFIER_TYPES, family_of
from workers.runners.checkpoint.folder import max_tokens_of, read_json

logger = logging.getLogger(__name__)

CLASSIFIER = "ForSequenceClassification"
PROMPTED_NAME = "qwen3-rerank"
# What sentence-transformers' CrossEncoder makes of the logit; it takes the sigmoid where no file says.
ACTIVATIONS = {
    "torch.nn.modules.activation.Sigmoid": True,
    "torch.nn.modules.linear.Identity": False,
}


@dataclass(frozen=True, slots=True)
class RerankRecipe:
    """How a reranker of texts makes its scores."""

    prompted: bool
    """Whether it is asked in words and answers yes or no, as Qwen3-Reranker is; otherwise it is a cross-encoder."""
    has_classifier: bool
    """Whether the folder holds a classifier of one label."""
    sigmoid: bool
    """Whether a score is the logit's sigmoid or the logit itself."""
    max_tokens: int
    """Special tokens and template included."""
    lowercase: bool
    token_types: int
    """How many types of tokens the model has embeddings for (the query's, the document's); 0 for none."""


def read_rerank_recipe(folder: Path, config: dict[str, Any]) -> RerankRecipe:
    """Raises InvalidInput for a folder that asks for what is not supported: a wrong score is worse than none."""
    model_type = config.get("model_type")
    architectures = [str(each) for each in config.get("architectures") or ()]
    classifier = any(each.endswith(CLASSIFIER) for each in architectures)
    family = family_of(model_type)
    reranking = family and family.reranking
    if reranking is None or (reranking.is_classifier and not classifier):
        raise InvalidInput(
            f"{folder}: a model of type {model_type!r} ({', '.join(architectures) or 'no architecture named'}) "
            f"cannot rerank here. Supported: {CLASSIFIER} models of the types {', '.join(CLASSIFIER_TYPES)}, "
            "and Qwen3-Reranker and Qwen3-VL-Reranker.",
            param="model",
        )
    prompted = not reranking.is_classifier
    if classifier:
        _check_labels(folder, config)
    if prompted:
        _check_prompted(folder, config, architectures)
    transformer = read_json(folder / "sentence_bert_config.json")
    return RerankRecipe(
        prompted=prompted,
        has_classifier=classifier,
        sigmoid=prompted or _takes_sigmoid(folder, config),
        max_tokens=max_tokens_of(folder, config, transformer),
        lowercase=bool(transformer.get("do_lower_case")),
        token_types=_token_types(folder, config) if reranking.has_token_types else 0,
    )


def _token_types(folder: Path, config: dict[str, Any]) -> int:
    names = read_json(folder / "tokenizer_config.json").get("model_input_names")
    if names and "token_type_ids" not in names:
        return 0
    return int(config.get("type_vocab_size") or 2)


def _check_labels(folder: Path, config: dict[str, Any]) -> None:
    labels = config.get("num_labels") or len(config.get("id2label") or ()) or 2  # transformers' own default
    if labels != 1:
        raise InvalidInput(
            f"{folder}: the classifier has {labels} labels. A reranker has one: how relevant a document is.",
            param="model",
        )


def _check_prompted(folder: Path, config: dict[str, Any], architectures: list[str]) -> None:
    """Other rerankers are of the same type, and want other prompts."""
    known = {"Qwen3ForCausalLM", f"Qwen3{CLASSIFIER}"}
    if not known.issuperset(architectures) or config.get("auto_map"):
        raise InvalidInput(
            f"{folder}: {', '.join(architectures)} with code of its own is no Qwen3-Reranker, "
            "the only reranker of type qwen3 that is supported.",
            param="model",
        )
    check_answers(folder, "Qwen3-Reranker")
    if PROMPTED_NAME not in str(folder).lower():
        logger.warning("model is asked as Qwen3-Reranker is", extra={"folder": str(folder)})


def check_answers(folder: Path, name: str) -> None:
    """Raises InvalidInput where sentence-transformers' file says that no "yes" is weighed against a "no".

    name: of the only reranker of its type that is supported.
    """
    scored = read_json(folder / "1_LogitScore" / "config.json")
    if scored and scored.get("false_token_id") is None:
        raise InvalidInput(
            f"{folder}: the model scores by one token, where {name}, the only reranker of its type that is "
            "supported, answers yes or no.",
            param="model",
        )


def _takes_sigmoid(folder: Path, config: dict[str, Any]) -> bool:
    """sentence-transformers has kept the activation in three places; the first that names one counts."""
    sentence = read_json(folder / "config_sentence_transformers.json")
    if sentence.get("default_prompt_name"):
        raise InvalidInput(
            f"{folder}: a cross-encoder with a default prompt is not supported.", param="model"
        )
    named = (
        sentence.get("activation_fn")
        or (config.get("sentence_transformers") or {}).get("activation_fn")
        or config.get("sbert_ce_default_activation_function")
        or "torch.nn.modules.activation.Sigmoid"
    )
    if named not in ACTIVATIONS:
        raise InvalidInput(
            f"{folder}: a score made by {named} is not supported. Supported: {', '.join(ACTIVATIONS)}.",
            param="model",
        )
    return ACTIVATIONS[named]
