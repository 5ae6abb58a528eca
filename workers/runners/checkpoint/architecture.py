"""Read a model's config.json: refuse what would be computed wrongly, and spell the rest as mlx-vlm expects it.

Newer transformers write `rope_parameters` and `layer_types`, older ones `rope_theta` and a pattern; mlx-vlm reads the
old names, and falls back to its defaults without a word where they are missing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jobs.errors import InvalidInput
from workers.families import ENCODER_TYPES, Required, family_of


def library_config(config: dict[str, Any]) -> dict[str, Any]:
    """config.json with every value under the name that mlx-vlm reads. Raises InvalidInput for what is not supported."""
    model_type = config.get("model_type")
    family = family_of(model_type)
    if family is None or model_type not in ENCODER_TYPES:
        raise InvalidInput(
            f"Model type {model_type!r} makes no embeddings here. Supported: {', '.join(ENCODER_TYPES)}.",
            param="model",
        )
    check_config(f"{model_type} model", config, family.required)
    config = {**config}
    match model_type:
        case "qwen3":
            return _qwen3(config)
        case "gemma3_text":
            return _gemma(config)
        case "modernbert":
            return _modernbert(config)
        case _:
            return config


def _qwen3(config: dict[str, Any]) -> dict[str, Any]:
    theta, scaling = _rope(config, config.get("rope_parameters"), "rope_theta", 10_000.0)
    if any(kind != "full_attention" for kind in config.get("layer_types") or ()):
        _refuse("qwen3 model", "layer_types", "sliding_attention")
    heads = config["num_attention_heads"]
    defaults = {
        "head_dim": 128,
        "tie_word_embeddings": True,
        "num_key_value_heads": heads,
        "rms_norm_eps": 1e-6,
    }
    return {**defaults, **config, "rope_theta": theta, "rope_scaling": scaling}


def _gemma(config: dict[str, Any]) -> dict[str, Any]:
    if not config.get("use_bidirectional_attention"):
        raise InvalidInput(
            "This gemma3_text model reads from left to right (use_bidirectional_attention is not set): "
            "it generates text and makes no embeddings.",
            param="model",
        )
    ropes = config.get("rope_parameters") or {}
    config["rope_global_base_freq"], config["rope_scaling"] = _rope(
        config, ropes.get("full_attention"), "rope_theta", 1e6
    )
    config["rope_local_base_freq"], _ = _rope(
        {}, ropes.get("sliding_attention"), "", config.get("rope_local_base_freq", 1e4)
    )
    every = config.get("sliding_window_pattern") or config.get("_sliding_window_pattern") or 6
    kinds = config.get("layer_types")
    if kinds and "full_attention" in kinds:
        every = kinds.index("full_attention") + 1
    elif kinds:
        every = len(kinds) + 1
    config["sliding_window_pattern"] = every
    _check_layers(config, [(i + 1) % every == 0 for i in range(config["num_hidden_layers"])])
    return config


def _modernbert(config: dict[str, Any]) -> dict[str, Any]:
    ropes = config.get("rope_parameters") or {}
    every = config.get("global_attn_every_n_layers") or 3
    kinds = config.get("layer_types")
    if kinds and "full_attention" in kinds[1:]:
        every = kinds.index("full_attention", 1)
    elif kinds:
        every = len(kinds)
    config["global_attn_every_n_layers"] = every
    full = config.get("global_rope_theta") or 160_000.0
    near = config.get("local_rope_theta") or 10_000.0
    config["global_rope_theta"], scaling = _rope({}, ropes.get("full_attention"), "", full)
    config["local_rope_theta"], _ = _rope({}, ropes.get("sliding_attention"), "", near)
    if scaling or config.get("rope_scaling"):
        _refuse("modernbert model", "rope_scaling", scaling or config["rope_scaling"])
    _check_layers(config, [i % every == 0 for i in range(config["num_hidden_layers"])])
    return config


def _rope(
    config: dict[str, Any], parameters: dict[str, Any] | None, key: str, default: float
) -> tuple[float, dict[str, Any] | None]:
    """The rotary base and the scaling, from the new place or the old one."""
    parameters = parameters or {}
    theta = float(parameters.get("rope_theta") or config.get(key) or default)
    scaled = parameters.get("rope_type", "default") != "default"
    return theta, parameters if scaled else config.get("rope_scaling")


def _check_layers(config: dict[str, Any], is_global: list[bool]) -> None:
    kinds = config.get("layer_types")
    if kinds and [kind == "full_attention" for kind in kinds] != is_global:
        _refuse(f"{config['model_type']} model", "layer_types", "an irregular pattern")


def check_config(name: str, config: Mapping[str, Any], required: Required) -> None:
    """Raises InvalidInput for a value that would be computed wrongly. name: of the model, for the message."""
    for key, allowed in required.items():
        value = config.get(key, allowed[0])
        if value not in allowed:
            _refuse(name, key, value)


@contextmanager
def complete_config() -> Iterator[None]:
    """Raises InvalidInput where what config.json lacks is found missing."""
    try:
        yield
    except (KeyError, TypeError) as error:
        raise InvalidInput(f"The model's config.json is incomplete: {error}.", param="model") from error


def _refuse(name: str, key: str, value: Any) -> None:
    raise InvalidInput(f"This {name} sets {key} to {value!r}, which is not supported.", param="model")
