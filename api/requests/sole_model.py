"""The model where a request need not name one, because the dialect's own server has but one."""

from collections.abc import Sequence
from typing import Literal

from jobs.errors import InvalidInput, NoWorker, UnknownModel
from jobs.models import ModelInfo

_WORDS = {"rerank": "reranking", "embed": "embedding"}


def model_or_sole(named: str | None, models: Sequence[ModelInfo], task: Literal["rerank", "embed"]) -> str:
    """The model that is named or, where none is, the only one for the task.

    Raises: NoWorker, UnknownModel where there is none, InvalidInput where there is more than one.
    """
    if named:
        return named
    if not models:
        raise NoWorker
    ids = list(dict.fromkeys(info.id for info in models if task in info.tasks))
    if not ids:
        known = ", ".join(info.id for info in models)
        raise UnknownModel(f"No model for {_WORDS[task]} is served. There is: {known}.", param="model")
    if len(ids) > 1:
        raise InvalidInput(f"Missing field: model. There is more than one: {', '.join(ids)}.", param="model")
    return ids[0]


def check_one_vector(info: ModelInfo) -> None:
    """Raises InvalidInput for an embedder whose inputs have several vectors, where a reply has one for each."""
    if "multi_vector" in info.abilities:
        raise InvalidInput(
            f"{info.id} has several vectors for each input, and there is one here. Send it to /v1/embeddings.",
            param="model",
        )
