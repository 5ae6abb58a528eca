"""Lists of models as Ollama's clients see them: /api/tags and /api/ps."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from api.dialects.ollama.chat import timestamp
from api.dialects.ollama.details import (
    Capability,
    OllamaDetails,
    capabilities_of,
    details_of,
    digest_of,
)
from jobs.catalogue.names import with_tag
from jobs.models import LoadedModel, ModelInfo
from jobs.stats import WorkerStats

_LAST = datetime.max.replace(tzinfo=UTC, microsecond=0)
# For a model that stays until memory is needed: Ollama's program shows "Forever" for any date that far away.
_FOREVER = f"{_LAST:%Y-%m-%dT%H:%M:%SZ}"
_FOREVER_AT = _LAST.timestamp()


class OllamaModel(msgspec.Struct, frozen=True, kw_only=True):
    """size: of its files, in bytes; 0: not known. digest: see details.digest_of."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: OllamaDetails
    capabilities: list[Capability]


class OllamaModels(msgspec.Struct, frozen=True):
    models: list[OllamaModel]


class OllamaLoaded(OllamaModel, frozen=True, kw_only=True):
    """size, size_vram: what its weights take, and take of a GPU's memory (on Apple's chips all of it), in bytes."""

    expires_at: str
    size_vram: int
    context_length: int


class OllamaLoadedModels(msgspec.Struct, frozen=True):
    models: list[OllamaLoaded]


def list_models(models: Sequence[ModelInfo]) -> OllamaModels:
    """What /api/tags answers: the latest first."""
    latest = sorted(models, key=lambda each: -each.created)
    return OllamaModels([OllamaModel(**_common(info), size=info.size_bytes) for info in latest])


def list_loaded(models: Sequence[ModelInfo], workers: Iterable[WorkerStats]) -> OllamaLoadedModels:
    """Those in memory, what stays longest first. One that several workers have is listed once, as it stays longest."""
    known = {info.id: info for info in models}
    found: dict[str, tuple[LoadedModel, WorkerStats]] = {}
    for worker in workers:
        for loaded in worker.loaded:
            if loaded.id in known:
                each = loaded, worker
                found[loaded.id] = max(found.get(loaded.id, each), each, key=lambda it: _stays_until(it[0]))
    lasting = sorted(found.values(), key=lambda each: (-_stays_until(each[0]), each[0].id))
    return OllamaLoadedModels([_loaded(known[loaded.id], loaded, worker) for loaded, worker in lasting])


def modified_at(info: ModelInfo) -> str:
    """RFC 3339."""
    return timestamp(info.created * 1_000_000_000)


def _loaded(info: ModelInfo, loaded: LoadedModel, worker: WorkerStats) -> OllamaLoaded:
    until = _stays_until(loaded)
    return OllamaLoaded(
        **_common(info),
        size=loaded.size_bytes,
        size_vram=0 if worker.device == "cpu" else loaded.size_bytes,
        expires_at=_FOREVER if until >= _FOREVER_AT else timestamp(int(until * 1_000_000_000)),
        context_length=info.max_tokens,
    )


def _common(info: ModelInfo) -> dict[str, Any]:
    """What both lists tell."""
    return {
        "name": with_tag(info.id),
        "model": with_tag(info.id),
        "modified_at": modified_at(info),
        "digest": digest_of(info),
        "details": details_of(info),
        "capabilities": capabilities_of(info),
    }


def _stays_until(loaded: LoadedModel) -> float:
    return math.inf if loaded.expires_at is None else loaded.expires_at
