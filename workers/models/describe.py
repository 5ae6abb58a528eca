"""What the files of a model say of it, for those who list models. Imports no MLX."""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from jobs.catalogue.details import ModelDetails, Value
from jobs.models import ModelInfo
from workers.models.detect import config_of
from workers.models.resolve import LocalModel
from workers.models.tensors import Tensor, tensors_in
from workers.runners.checkpoint.folder import read_json

_MAX_TEXT_BYTES = 256 * 1024
"""Of a chat template or a licence. A longer file is something else, and is not shown."""

_LICENSES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE")

_SIZES = {
    "num_hidden_layers": "block_count",
    "n_layer": "block_count",
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "layer_norm_eps": "attention.layer_norm_epsilon",
    "rope_theta": "rope.freq_base",
    "vocab_size": "vocab_size",
    "num_experts": "expert_count",
    "num_local_experts": "expert_count",
    "num_experts_per_tok": "expert_used_count",
}
"""Words of config.json, and of GGUF (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md)."""


def described(info: ModelInfo, model: LocalModel) -> ModelInfo:
    """info with what the files say of the weights.

    Raises InvalidInput, OSError, and ValueError for weights that are no safetensors files.
    """
    config, tensors = config_of(model), tensors_in(model.folder)
    return msgspec.structs.replace(
        info,
        family=str(config.get("model_type") or ""),
        parameters=_parameters(tensors, _quantisation(config)),
        quantisation=_level(tensors, _quantisation(config)),
        size_bytes=folder_bytes(model.folder),
    )


def details_of(model: LocalModel) -> ModelDetails:
    """Raises InvalidInput, OSError."""
    config = config_of(model)
    text_config = config.get("text_config")
    return ModelDetails(
        template=_template(model.folder),
        license=_license(model.folder),
        architecture=str(next(iter(config.get("architectures") or ()), "")),
        config=_sizes({**config, **(text_config if isinstance(text_config, dict) else {})}),
        adapter=model.adapter.name if model.adapter else "",
        draft=model.draft.name if model.draft else "",
    )


def folder_bytes(folder: Path) -> int:
    """Of its files and those of its subfolders, without hidden ones."""
    files = [*folder.iterdir(), *folder.glob("[!.]*/*")]
    return sum(file.stat().st_size for file in files if file.is_file() and not file.name.startswith("."))


def _quantisation(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """As mlx-lm and mlx-vlm write it; {} for unquantised weights."""
    found = config.get("quantization") or config.get("quantization_config")
    return found if isinstance(found, dict) and "group_size" in found else {}


def _parameters(tensors: Mapping[str, Tensor], quantisation: Mapping[str, Any]) -> int:
    """Of a quantised layer: a group of weights has one scale."""
    count = 0
    for name, tensor in tensors.items():
        layer, _, part = name.rpartition(".")
        scales = tensors.get(f"{layer}.scales")
        if scales is None:
            count += math.prod(tensor.shape)
        elif part == "weight":
            own = quantisation.get(layer)
            group = (own if isinstance(own, dict) else quantisation).get("group_size", 0)
            count += math.prod(scales.shape) * int(group)
        elif part not in ("scales", "biases"):
            count += math.prod(tensor.shape)
    return count


def _level(tensors: Mapping[str, Tensor], quantisation: Mapping[str, Any]) -> str:
    if quantisation:
        mode = str(quantisation.get("mode") or "affine")
        return f"{quantisation.get('bits')}bit" if mode == "affine" else mode
    sizes = Counter[str]()
    for tensor in tensors.values():
        sizes[tensor.dtype] += tensor.size_bytes
    return sizes.most_common(1)[0][0] if sizes else ""


def _sizes(config: Mapping[str, Any]) -> dict[str, Value]:
    return {
        word: config[name]
        for name, word in _SIZES.items()
        if isinstance(config.get(name), int | float) and not isinstance(config[name], bool)
    }


def _template(folder: Path) -> str:
    """Of several named ones the default."""
    if text := _text(folder / "chat_template.jinja"):
        return text
    for name in ("chat_template.json", "tokenizer_config.json"):
        found = read_json(folder / name).get("chat_template")
        if isinstance(found, list):
            named = {each.get("name"): each.get("template") for each in found if isinstance(each, dict)}
            found = named.get("default")
        if isinstance(found, str):
            return found
    return ""


def _license(folder: Path) -> str:
    """The licence's text, or its name as the model's card gives it."""
    for name in _LICENSES:
        if text := _text(folder / name):
            return text
    card = _text(folder / "README.md")
    if card.startswith("---"):
        for line in card.split("---", 2)[1].splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "license":
                return value.strip().strip("\"'")
    return ""


def _text(file: Path) -> str:
    if not file.is_file() or file.stat().st_size > _MAX_TEXT_BYTES:
        return ""
    return file.read_text(encoding="utf-8", errors="replace")
