"""The model where a request need not name one, because the dialect's own server has but one."""

from collections.abc import Sequence
from typing import Literal, TypeGuard, TypeVar

import msgspec

from api.work.queue import Queue
from jobs.errors import InvalidInput, NoWorker, UnknownModel
from jobs.models import ModelInfo

M = TypeVar("M", bound=msgspec.Struct)

_WORDS = {"rerank": "reranking", "embed": "embedding", "generate": "text generation"}

_NOT_SAID = "default/not-specified"
"""What infinity's client sends where its caller has named none."""


def is_named(model: str | None) -> TypeGuard[str]:
    """Whether a request names a model."""
    return bool(model) and model != _NOT_SAID


def model_or_sole(
    named: str | None, models: Sequence[ModelInfo], task: Literal["rerank", "embed", "generate"]
) -> str:
    """The model that is named or, where none is, the only one for the task.

    Raises: NoWorker, UnknownModel where there is none, InvalidInput where there is more than one.
    """
    if is_named(named):
        return named
    found = [info for info in models if task in info.tasks]
    if models and not found:
        known = ", ".join(info.id for info in models)
        raise UnknownModel(f"No model for {_WORDS[task]} is served. There is: {known}.", param="model")
    return _sole(found).id


async def with_model(asked: M, queue: Queue, task: Literal["rerank", "embed", "generate"]) -> M:
    """The request, and where it names no model the only one for the task in it (see model_or_sole)."""
    if is_named(getattr(asked, "model")):  # noqa: B009 - a field of each of them
        return asked
    return msgspec.structs.replace(asked, model=model_or_sole(None, await queue.models(), task))


async def served_model(named: str | None, queue: Queue) -> ModelInfo:
    """The model that is named or, where none is, the only one that is served, whatever its task.

    Raises: NoWorker, UnknownModel, InvalidInput where there is more than one, QueueUnavailable.
    """
    return await queue.model(named) if is_named(named) else _sole(await queue.models())


def _sole(models: Sequence[ModelInfo]) -> ModelInfo:
    if not models:
        raise NoWorker
    models = [info for info in models if not info.of]  # an alias is no other model
    models = [info for info in models if info.is_announced] or models  # what was pulled may not be served yet
    ids = list(dict.fromkeys(info.id for info in models))
    if len(ids) > 1:
        raise InvalidInput(f"Missing field: model. There is more than one: {', '.join(ids)}.", param="model")
    return models[0]


def check_one_vector(info: ModelInfo) -> None:
    """Raises InvalidInput for an embedder whose inputs have several vectors, where a reply has one for each."""
    if "multi_vector" in info.abilities:
        raise InvalidInput(
            f"{info.id} has several vectors for each input, and there is one here. Send it to /v1/embeddings.",
            param="model",
        )
