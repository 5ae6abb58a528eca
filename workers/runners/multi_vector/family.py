"""What tells a multi-vector model from the model it was made of. Imports no MLX."""

from pathlib import Path
from typing import Any, Literal

from workers.runners.checkpoint.folder import no_weights, read_json

Family = Literal["colqwen2_5", "colidefics3", "lfm2_colbert"]

COLQWEN_PROJECTIONS = ("custom_text_proj", "embedding_proj_layer")
"""Names of the layer that Qwen2.5-VL lacks."""
COLIDEFICS_PROJECTIONS = ("linear",)
"""… and Idefics3."""
LFM2_PROJECTIONS = ("model.1_Dense.linear", "1_Dense.linear", "dense.0", "dense", "projection")
"""… and LFM2, as conversions have it; PyLate keeps it in a folder of its own."""


def family_of(folder: Path, config: dict[str, Any]) -> Family | None:
    """By its config's words or, where those are the vision model's own, by its weights' names. None: another model.

    Raises InvalidInput where those cannot be read.
    """
    model_type = config.get("model_type")
    architectures = config.get("architectures") or ()
    if model_type == "colqwen2_5" or "ColQwen2_5" in architectures:
        return "colqwen2_5"
    if model_type == "colidefics3" or "ColIdefics3" in architectures:
        return "colidefics3"
    if model_type == "colqwen2":  # transformers' class for ColQwen2 and ColQwen2.5 alike
        return "colqwen2_5" if (config.get("vlm_config") or {}).get("model_type") == "qwen2_5_vl" else None
    if model_type == "qwen2_5_vl":
        return "colqwen2_5" if _has_weight(folder, COLQWEN_PROJECTIONS) else None
    if model_type == "idefics3":
        return "colidefics3" if _has_weight(folder, COLIDEFICS_PROJECTIONS) else None
    if model_type == "lfm2":
        projects = (folder / "1_Dense").is_dir() or _has_weight(folder, LFM2_PROJECTIONS)
        return "lfm2_colbert" if projects else None
    return None


def _has_weight(folder: Path, layers: tuple[str, ...]) -> bool:
    starts = tuple(f"{layer}." for layer in layers)
    return any(name.startswith(starts) for name in _weight_names(folder))


def _weight_names(folder: Path) -> list[str]:
    index = read_json(folder / "model.safetensors.index.json")
    if index:
        return list(index.get("weight_map") or ())
    from safetensors import SafetensorError, safe_open

    names: list[str] = []
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(str(file), framework="numpy") as opened:
                names += opened.keys()
        except (SafetensorError, OSError) as error:
            raise no_weights(file, error) from error
    return names
