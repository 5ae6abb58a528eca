"""Models as Ollama's clients see them. What mlxq does not know of a model is left empty."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from api.dialects.ollama.chat import timestamp
from jobs.catalogue.names import with_tag, without_latest
from jobs.errors import NoWorker, UnknownModel
from jobs.models import MAX_SHOWN_CHARACTERS, LoadedModel, ModelInfo, find_model, nearest
from jobs.stats import WorkerStats

_ARCHITECTURE = "mlx"
_LAST = datetime.max.replace(tzinfo=UTC, microsecond=0)
# For a model that stays until memory is needed: Ollama's program shows "Forever" for any date that far away.
_FOREVER = f"{_LAST:%Y-%m-%dT%H:%M:%SZ}"
_FOREVER_AT = _LAST.timestamp()
# The abilities of a generator by mlxq's names, and by Ollama's.
_CAPABILITIES = {"tools": "tools", "vision": "vision", "reasoning": "thinking", "insert": "insert"}


class OllamaDetails(msgspec.Struct, frozen=True, kw_only=True):
    parent_model: str = ""
    format: Literal["mlx"] = "mlx"
    family: str = ""
    families: tuple[str, ...] = ()
    parameter_size: str = ""
    quantization_level: str = ""


class OllamaModel(msgspec.Struct, frozen=True, kw_only=True):
    """size, digest: unknown, and so 0 and empty."""

    name: str
    model: str
    modified_at: str
    size: int = 0
    digest: str = ""
    details: OllamaDetails = OllamaDetails()


class OllamaModels(msgspec.Struct, frozen=True):
    models: list[OllamaModel]


class OllamaLoaded(OllamaModel, frozen=True, kw_only=True):
    expires_at: str
    size_vram: int
    context_length: int


class OllamaLoadedModels(msgspec.Struct, frozen=True):
    models: list[OllamaLoaded]


class ShowRequest(msgspec.Struct, frozen=True, kw_only=True):
    """name: what older clients call model."""

    model: str | None = None
    name: str | None = None


class ShowReply(msgspec.Struct, frozen=True, kw_only=True):
    license: str = ""
    modelfile: str = ""
    parameters: str = ""
    template: str = ""
    details: OllamaDetails = OllamaDetails()
    model_info: dict[str, str | int]
    capabilities: list[str]
    modified_at: str


class VersionReply(msgspec.Struct, frozen=True):
    version: str


def list_models(models: Sequence[ModelInfo]) -> OllamaModels:
    """What /api/tags answers: the latest first."""
    found = [
        OllamaModel(name=with_tag(info.id), model=with_tag(info.id), modified_at=_modified_at(info))
        for info in sorted(models, key=lambda each: -each.created)
    ]
    return OllamaModels(found)


def list_loaded(models: Sequence[ModelInfo], workers: Iterable[WorkerStats]) -> OllamaLoadedModels:
    """Those in memory, what stays longest first. One that several workers have is listed once, as it stays longest."""
    known = {info.id: info for info in models}
    found: dict[str, LoadedModel] = {}
    for loaded in (each for worker in workers for each in worker.loaded if each.id in known):
        found[loaded.id] = max(found.get(loaded.id, loaded), loaded, key=_stays_until)
    lasting = sorted(found.values(), key=lambda each: (-_stays_until(each), each.id))
    return OllamaLoadedModels([_loaded(known[each.id], each) for each in lasting])


def _loaded(info: ModelInfo, loaded: LoadedModel) -> OllamaLoaded:
    until = _stays_until(loaded)
    return OllamaLoaded(
        name=with_tag(info.id),
        model=with_tag(info.id),
        modified_at=_modified_at(info),
        size=loaded.size_bytes,
        size_vram=loaded.size_bytes,
        expires_at=_FOREVER if until >= _FOREVER_AT else timestamp(int(until * 1_000_000_000)),
        context_length=info.max_tokens,
    )


def _stays_until(loaded: LoadedModel) -> float:
    return math.inf if loaded.expires_at is None else loaded.expires_at


def show_model(name: str, models: Sequence[ModelInfo]) -> ShowReply:
    """Raises UnknownModel, and NoWorker where there is no model at all."""
    if not models:
        raise NoWorker
    info = find_model(name, models)
    if info is None:
        near = nearest(without_latest(name), [each.id for each in models])
        meant = f", did you mean {near!r}?" if near else ""
        raise UnknownModel(f"model {name[:MAX_SHOWN_CHARACTERS]!r} not found{meant}", param="model")
    known: dict[str, str | int] = {
        "general.architecture": _ARCHITECTURE,
        "general.basename": info.id,
        f"{_ARCHITECTURE}.context_length": info.max_tokens,
    }
    if info.dimensions:
        known[f"{_ARCHITECTURE}.embedding_length"] = info.dimensions
    return ShowReply(model_info=known, capabilities=_capabilities(info), modified_at=_modified_at(info))


def _capabilities(info: ModelInfo) -> list[str]:
    if info.task == "embed":
        return ["embedding"]
    if info.task != "generate":
        return []  # Ollama has no name for it
    return ["completion", *(word for ability, word in _CAPABILITIES.items() if ability in info.abilities)]


def _modified_at(info: ModelInfo) -> str:
    return timestamp(info.created * 1_000_000_000)
