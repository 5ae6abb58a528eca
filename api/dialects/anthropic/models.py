"""Anthropic's list of models: those that answer messages, newest first, page by page."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec

from jobs.errors import InvalidInput, UnknownModel
from jobs.models import ModelInfo


class ModelsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """after_id, before_id: the page behind, or before, that model."""

    after_id: str | None = None
    before_id: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20


class Support(msgspec.Struct, frozen=True):
    supported: bool


class ThinkingTypes(msgspec.Struct, frozen=True, kw_only=True):
    adaptive: Support
    between_tools: Support
    disabled: Support
    enabled: Support


class ThinkingSupport(msgspec.Struct, frozen=True, kw_only=True):
    supported: bool
    types: ThinkingTypes


class EffortSupport(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a model's chat template heeds it is not known."""

    supported: bool = False
    low: Support = Support(False)
    medium: Support = Support(False)
    high: Support = Support(False)
    xhigh: Support = Support(False)
    max: Support = Support(False)


class ContextManagement(msgspec.Struct, frozen=True, kw_only=True):
    supported: bool = False
    clear_thinking_20251015: Support = Support(False)
    clear_tool_uses_20250919: Support = Support(False)
    compact_20260112: Support = Support(False)


class ServerTools(msgspec.Struct, frozen=True, kw_only=True):
    supported: bool = False
    code_execution: Support = Support(False)
    web_search: Support = Support(False)


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    image_input: Support
    thinking: ThinkingSupport
    structured_outputs: Support = Support(True)
    batch: Support = Support(False)
    citations: Support = Support(False)
    code_execution: Support = Support(False)
    context_management: ContextManagement = ContextManagement()
    effort: EffortSupport = EffortSupport()
    pdf_input: Support = Support(False)
    server_tools: ServerTools = ServerTools()


class AnthropicModel(msgspec.Struct, frozen=True, kw_only=True):
    """created_at: RFC 3339. Both limits are the model's context; null while no worker has told it."""

    type: Literal["model"] = "model"
    id: str
    display_name: str
    created_at: str
    max_input_tokens: int | None
    max_tokens: int | None
    capabilities: Capabilities
    lifecycle: Literal["active"] = "active"
    line: None = None
    deprecated_at: None = None
    retires_at: None = None


class AnthropicModels(msgspec.Struct, frozen=True, kw_only=True):
    data: list[AnthropicModel]
    has_more: bool
    first_id: str | None
    last_id: str | None


def anthropic_models(models: Sequence[ModelInfo], asked: ModelsQuery) -> AnthropicModels:
    """A page. Raises InvalidInput where it is to begin at a model that is not there."""
    found = sorted(filter(_answers, models), key=lambda info: (-info.created, info.id))
    names = [info.id for info in found]
    if asked.after_id and asked.before_id:
        raise InvalidInput("after_id and before_id exclude each other.", param="before_id")
    if asked.before_id:
        end = _place(asked.before_id, names, "before_id")
        start = max(0, end - asked.limit)
        has_more = start > 0
    else:
        start = _place(asked.after_id, names, "after_id") + 1 if asked.after_id else 0
        end = min(start + asked.limit, len(names))
        has_more = end < len(names)
    page = [_described(info) for info in found[start:end]]
    return AnthropicModels(
        data=page,
        has_more=has_more,
        first_id=page[0].id if page else None,
        last_id=page[-1].id if page else None,
    )


def anthropic_model(info: ModelInfo) -> AnthropicModel:
    """Raises UnknownModel for a model that answers no messages."""
    if not _answers(info):
        raise UnknownModel(f"{info.id} answers no messages: its task is {info.task}.", param="model")
    return _described(info)


def _answers(info: ModelInfo) -> bool:
    return "generate" in info.tasks


def _described(info: ModelInfo) -> AnthropicModel:
    thinks = Support("reasoning" in info.abilities)
    types = ThinkingTypes(adaptive=thinks, between_tools=thinks, disabled=Support(True), enabled=thinks)
    limit = info.max_tokens if info.is_announced else None
    return AnthropicModel(
        id=info.id,
        display_name=info.id,
        created_at=datetime.fromtimestamp(info.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        max_input_tokens=limit,
        max_tokens=limit,
        capabilities=Capabilities(
            image_input=Support("vision" in info.abilities),
            thinking=ThinkingSupport(supported=thinks.supported, types=types),
        ),
    )


def _place(name: str, names: Sequence[str], field: str) -> int:
    if name not in names:
        raise InvalidInput(f"{field}: there is no model {name[:200]!r}.", param=field)
    return names.index(name)
