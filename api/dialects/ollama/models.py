"""Models as Ollama's clients see them. What mlxq does not know of a model is left empty."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from api.dialects.ollama.chat import timestamp
from jobs.errors import NoWorker, UnknownModel
from jobs.models import MAX_SHOWN_CHARACTERS, LoadedModel, ModelInfo, find_model, nearest
from jobs.stats import WorkerStats

_LATEST = ":latest"
_ARCHITECTURE = "mlx"
# Ollama's own date for a model that stays until memory is needed: clients show "Forever".
_FOREVER = f"{datetime.max.replace(tzinfo=UTC, microsecond=0):%Y-%m-%dT%H:%M:%SZ}"
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


def model_id(name: str, models: Sequence[ModelInfo], task: str | None = None) -> str:
    """The id of the model that a client means by the name, or by the name without ":latest"; else the name itself.

    Raises InvalidInput where it means several.
    """
    found = find_model(name, models, task) or find_model(name.removesuffix(_LATEST), models, task)
    return found.id if found else name


def list_models(models: Sequence[ModelInfo]) -> OllamaModels:
    """What /api/tags answers."""
    return OllamaModels(
        [OllamaModel(name=info.id, model=info.id, modified_at=_modified_at(info)) for info in models]
    )


def list_loaded(models: Sequence[ModelInfo], workers: Iterable[WorkerStats]) -> OllamaLoadedModels:
    """Those in memory; one that several workers have is listed once, as it stays longest."""
    known = {info.id: info for info in models}
    found: dict[str, LoadedModel] = {}
    for loaded in (each for worker in workers for each in worker.loaded if each.id in known):
        found[loaded.id] = max(found.get(loaded.id, loaded), loaded, key=_stays_until)
    return OllamaLoadedModels([_loaded(known[name], found[name]) for name in sorted(found)])


def _loaded(info: ModelInfo, loaded: LoadedModel) -> OllamaLoaded:
    forever = loaded.expires_at is None
    return OllamaLoaded(
        name=info.id,
        model=info.id,
        modified_at=_modified_at(info),
        size=loaded.size_bytes,
        size_vram=loaded.size_bytes,
        expires_at=_FOREVER if forever else timestamp(int(_stays_until(loaded) * 1_000_000_000)),
        context_length=info.max_tokens,
    )


def _stays_until(loaded: LoadedModel) -> float:
    return math.inf if loaded.expires_at is None else loaded.expires_at


def show_model(name: str, models: Sequence[ModelInfo]) -> ShowReply:
    """Raises UnknownModel, and NoWorker where there is no model at all."""
    if not models:
        raise NoWorker
    wanted = model_id(name, models)
    info = next((each for each in models if each.id == wanted), None)
    if info is None:
        near = nearest(name.removesuffix(_LATEST), [each.id for each in models])
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
