"""/props of llama.cpp's server: what its clients ask of the one model that writes."""

from collections.abc import Sequence
from importlib.metadata import version

import msgspec

from api.requests.sole_model import model_or_sole
from jobs.generate import Sampling
from jobs.models import ModelInfo, model_for

_DEFAULTS = Sampling()


class PropsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """model: needed where more than one writes."""

    model: str | None = None


class GenerationParams(msgspec.Struct, frozen=True, kw_only=True):
    """What holds where a request does not say it."""

    n_predict: int = -1
    max_tokens: int = -1
    seed: int = -1
    temperature: float = _DEFAULTS.temperature
    top_k: int = _DEFAULTS.top_k
    top_p: float = _DEFAULTS.top_p
    min_p: float = _DEFAULTS.min_p
    repeat_penalty: float = _DEFAULTS.repetition_penalty
    repeat_last_n: int = _DEFAULTS.repetition_context
    presence_penalty: float = _DEFAULTS.presence_penalty
    frequency_penalty: float = _DEFAULTS.frequency_penalty
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False


class GenerationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """n_ctx: the model's context in tokens; 0 where no worker has told it."""

    n_ctx: int
    params: GenerationParams = GenerationParams()


class Modalities(msgspec.Struct, frozen=True):
    vision: bool
    audio: bool = False


class Props(msgspec.Struct, frozen=True, kw_only=True):
    """total_slots: 0, for each worker has its own. chat_template: empty, for workers do not tell it."""

    default_generation_settings: GenerationSettings
    total_slots: int = 0
    model_alias: str
    model_path: str
    chat_template: str = ""
    modalities: Modalities
    build_info: str
    is_sleeping: bool


def props(named: str | None, models: Sequence[ModelInfo], loaded: set[str]) -> Props:
    """loaded: ids of the models in memory. Raises what `model_or_sole` and `model_for` raise."""
    info = model_for(model_or_sole(named, models, "generate"), models, "generate")
    return Props(
        default_generation_settings=GenerationSettings(n_ctx=info.max_tokens),
        model_alias=info.id,
        model_path=info.hub_name or info.id,
        modalities=Modalities(vision="vision" in info.abilities),
        build_info=f"mlxq {version('mlxq')}",
        is_sleeping=info.id not in loaded,
    )
