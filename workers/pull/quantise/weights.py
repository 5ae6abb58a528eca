"""The quantised weights of a folder: of encoders file by file, of what writes text through mlx-lm or mlx-vlm."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx.utils import tree_map_with_path
from mlx_vlm.utils import skip_multimodal_module

from workers.hub.wanted import INDEX
from workers.models.detect import multi_vector_of
from workers.pull.quantise.modes import Mode
from workers.runners.checkpoint.folder import read_json, weight_files

MIN_ROWS = 64
"""A layer of fewer outputs saves nothing, and is often the one that scores."""
_KEPT = re.compile(r"(^|\.)(visual|connector|score|classifier)(\.|$)|position_embed")
"""Layers that stay as they are, besides those that mlx-vlm leaves alone: towers, the layers that score, positions."""

DTYPES = ("float16", "bfloat16")


def quantise_files(source: Path, target: Path, mode: Mode) -> dict[str, Any]:
    """From the first folder into the second. Returns what config.json says of it, as all functions here do.

    Each file of weights under its name, each tensor under its own: whoever reads the published folder reads this.
    """
    family = multi_vector_of(source, read_json(source / "config.json"))
    projections = tuple(f"{name}." for name in family.projections) if family else ()
    for file in weight_files(source):
        loaded: Any = mx.load(str(file), return_metadata=True)
        tensors, metadata = loaded
        written: dict[str, mx.array] = {}
        for name, tensor in tensors.items():
            kept = bool(projections) and name.startswith(projections)
            written |= {name: tensor} if kept else dict(_quantised(name, tensor, mode))
        mx.save_safetensors(str(target / file.name), written, metadata=metadata or {"format": "pt"})
    _write_index(source, target)
    return dict(mode.config)


def _quantised(name: str, tensor: mx.array, mode: Mode) -> Iterator[tuple[str, mx.array]]:
    layer = name.removesuffix(".weight")
    if (
        layer == name
        or tensor.ndim != 2
        or not mx.issubdtype(tensor.dtype, mx.floating)
        or tensor.shape[0] < MIN_ROWS
        or tensor.shape[1] % mode.group_size
        or skip_multimodal_module(layer)
        or _KEPT.search(layer)
    ):
        yield name, tensor
        return
    packed, *more = mx.quantize(tensor, group_size=mode.group_size, bits=mode.bits, mode=mode.name)
    yield name, packed
    yield from zip((f"{layer}.scales", f"{layer}.biases"), more, strict=False)


def _write_index(source: Path, target: Path) -> None:
    """Of several files. Its form is huggingface_hub's."""
    if not (source / INDEX).is_file():
        return
    places: dict[str, str] = {}
    size_bytes = 0
    for file in sorted(target.glob("*.safetensors")):
        tensors: Any = mx.load(str(file))
        places |= dict.fromkeys(tensors, file.name)
        size_bytes += sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": size_bytes}, "weight_map": places}
    (target / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True))


def quantise_text_generator(source: Path, target: Path, mode: Mode, *, trusts_code: bool) -> dict[str, Any]:
    """With mlx-lm."""
    from mlx_lm.utils import load_model, quantize_model, save_model

    model, config = load_model(source, lazy=True, trust_remote_code=trusts_code)
    _suit_dtype(model, config)
    model, config = quantize_model(model, config, mode.group_size, mode.bits, mode=mode.name)
    save_model(target, model, donate_model=True)
    return config["quantization"]


def quantise_vision_generator(source: Path, target: Path, mode: Mode) -> dict[str, Any]:
    """With mlx-vlm. The vision tower stays as it is, as its own command leaves it."""
    from mlx_vlm.quant_utils import quantize_model
    from mlx_vlm.utils import load_config, load_model, save_weights

    model = load_model(source, lazy=True)
    config = load_config(source)
    _suit_dtype(model, config)
    of_model = getattr(model, "quant_predicate", None)

    def chosen(path: str, module: nn.Module) -> Any:
        if skip_multimodal_module(path):
            return False
        return True if of_model is None else of_model(path, module)

    model, config = quantize_model(
        model, config, mode.group_size, mode.bits, mode=mode.name, quant_predicate=chosen
    )
    save_weights(target, model, donate_weights=True)
    return config["quantization"]


def _suit_dtype(model: nn.Module, config: dict[str, Any]) -> None:
    """As both libraries' commands do it: what is not quantised gets the type that config.json names."""
    text = config.get("text_config") or {}
    named = config.get("torch_dtype") or config.get("dtype") or text.get("dtype") or text.get("torch_dtype")
    if named not in DTYPES:
        return
    dtype = getattr(mx, named)
    may_cast = getattr(model, "cast_predicate", lambda _: True)

    def cast(path: str, value: mx.array) -> mx.array:
        return value.astype(dtype) if may_cast(path) and mx.issubdtype(value.dtype, mx.floating) else value

    model.update(tree_map_with_path(cast, model.parameters()))
