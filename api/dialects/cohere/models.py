"""Cohere's list of models, by the endpoints that take them."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import msgspec

from jobs.errors import InvalidInput
from jobs.models import ModelInfo

Endpoint = Literal["chat", "embed", "classify", "summarize", "rerank", "rate", "generate"]

_ENDPOINTS: dict[str, Endpoint] = {"generate": "chat", "embed": "embed", "rerank": "rerank"}
_FEATURES = {"generate": ("json_mode", "json_schema", "logprobs")}
"""Of every model of a task; Cohere's names."""
_ABILITIES = {"vision": "vision", "tools": "tools", "reasoning": "reasoning"}


class CohereModelsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """page_token: the next_page_token of the page before. default_only: those that the endpoint takes unnamed."""

    page_size: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20
    page_token: str | None = None
    endpoint: Endpoint | None = None
    default_only: bool = False


class CohereModel(msgspec.Struct, frozen=True, kw_only=True):
    """context_length: 0 while no worker has told it. default_endpoints: those that take it where no model is named."""

    name: str
    is_deprecated: bool = False
    endpoints: list[Endpoint]
    finetuned: bool = False
    context_length: int
    tokenizer_url: None = None
    default_endpoints: list[Endpoint]
    features: list[str]
    sampling_defaults: None = None


class CohereModels(msgspec.Struct, frozen=True, kw_only=True):
    models: list[CohereModel]
    next_page_token: str | None


def cohere_models(models: Sequence[ModelInfo], asked: CohereModelsQuery) -> CohereModels:
    """A page. Raises InvalidInput for a page_token that is none, and default_only without an endpoint."""
    if asked.default_only and asked.endpoint is None:
        raise InvalidInput("default_only needs an endpoint.", param="default_only")
    found = [cohere_model(name, models) for name in dict.fromkeys(info.id for info in models)]
    if asked.endpoint is not None:
        found = [
            each
            for each in found
            if asked.endpoint in (each.default_endpoints if asked.default_only else each.endpoints)
        ]
    names = [each.name for each in found]
    if asked.page_token and asked.page_token not in names:
        raise InvalidInput("page_token is not the next_page_token of a page.", param="page_token")
    start = names.index(asked.page_token) + 1 if asked.page_token else 0
    page = found[start : start + asked.page_size]
    more = start + asked.page_size < len(found)
    return CohereModels(models=page, next_page_token=page[-1].name if more else None)


def cohere_model(name: str, models: Iterable[ModelInfo]) -> CohereModel:
    """A model by its id, which is among the models."""
    models = list(models)
    own = [info for info in models if info.id == name]
    tasks = list(dict.fromkeys(task for info in own for task in info.tasks))
    abilities = dict.fromkeys(ability for info in own for ability in info.abilities)
    sole = [
        task for task in ("embed", "rerank") if {info.id for info in models if task in info.tasks} == {name}
    ]
    return CohereModel(
        name=name,
        endpoints=[_ENDPOINTS[task] for task in tasks],
        context_length=max(info.max_tokens for info in own),
        default_endpoints=[_ENDPOINTS[task] for task in sole],
        features=[
            *(feature for task in tasks for feature in _FEATURES.get(task, ())),
            *(_ABILITIES[ability] for ability in abilities if ability in _ABILITIES),
        ],
    )
