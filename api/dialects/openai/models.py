"""OpenAI's objects of models, with what a caller must know to use each."""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from jobs.models import ModelInfo
from jobs.stats import WorkerStats

_NOBODY = "mlxq"
"""Whose a model is of which no organisation is known."""


class ModelFields(msgspec.Struct, frozen=True, kw_only=True):
    """Of OpenAI's model object, with what a caller must know to use the model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    task: str
    dimensions: int
    min_dimensions: int | None
    max_tokens: int
    prompts: tuple[str, ...]
    abilities: tuple[str, ...]


class ModelReply(ModelFields, frozen=True, kw_only=True):
    """tasks: all that it does. context_length: as max_tokens, under the name that other servers have for it.

    loaded: whether a worker has it in memory. owned_by: the organisation that it is of.
    """

    owned_by: str
    tasks: tuple[str, ...]
    context_length: int
    loaded: bool


class ModelListReply(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[ModelReply]


def model_fields(info: ModelInfo) -> dict[str, Any]:
    """Those of ModelFields that are a model's own."""
    names = ("id", "created", "task", "dimensions", "min_dimensions", "max_tokens", "prompts", "abilities")
    return {name: getattr(info, name) for name in names}


def model_replies(models: Iterable[ModelInfo], workers: Iterable[WorkerStats]) -> list[ModelReply]:
    """In the models' order. workers: the live ones."""
    loaded = {each.id for worker in workers for each in worker.loaded}
    return [
        ModelReply(
            **model_fields(info),
            owned_by=_organisation(info),
            tasks=info.tasks,
            context_length=info.max_tokens,
            loaded=info.root in loaded,
        )
        for info in models
    ]


def _organisation(info: ModelInfo) -> str:
    return next((name.partition("/")[0] for name in (info.hub_name, info.id) if "/" in name), _NOBODY)
