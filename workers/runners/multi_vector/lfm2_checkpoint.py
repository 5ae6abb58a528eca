"""An LFM2-ColBERT folder, as PyLate or an MLX conversion writes it, opened."""

import re
import string
from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_vlm.models.lfm2.config import ModelConfig

from jobs.errors import InvalidInput
from workers.families import multi_vector_of
from workers.runners.checkpoint.architecture import check_config, complete_config
from workers.runners.checkpoint.folder import max_tokens_of, modules_of, read_json, special_token
from workers.runners.checkpoint.weights import fill, renamed_checkpoint
from workers.runners.embed.load_encoder import load_dense
from workers.runners.layers.vectors import Dense
from workers.runners.multi_vector.lfm2 import ColLfm2
from workers.runners.multi_vector.model import MultiVectorModel
from workers.runners.multi_vector.text_prompts import ColbertFormat, TextPrompts
from workers.runners.tokens.tokenizer import ModelTokenizer

PROJECTIONS = multi_vector_of("lfm2").projections

NAMES = (
    (re.compile(rf"^(?:{'|'.join(map(re.escape, PROJECTIONS))})\b"), "dense.0.linear"),
    (re.compile(r"^(?:model\.)?(embed_tokens|embedding_norm|layers)\b"), r"language.\1"),
)
UNUSED = re.compile(r"(^|\.)lm_head\.|rotary_emb\.inv_freq$")

DEFAULTS = {
    "norm_eps": 1e-5,
    "conv_bias": False,
    "conv_L_cache": 3,
    "block_multiple_of": 256,
    "block_ffn_dim_multiplier": 1.0,
    "block_auto_adjust_ff_dim": True,
    "max_position_embeddings": 128_000,
}
"""transformers' own, of what a config.json may leave out."""

REQUIRED: dict[str, tuple[Any, ...]] = {"rope_scaling": (None,)}


def open_lfm2(folder: Path) -> MultiVectorModel:
    """Raises InvalidInput for what would be computed wrongly.

    The limit of tokens is the lower one of the positions' and the tokenizer's. PyLate's query_length and
    document_length are no limits here: PyLate cuts there silently, its users raise them as they need, and the model
    reads longer texts. Short queries are filled up to query_length.
    """
    config = read_json(folder / "config.json")
    settings, both_ways = _settings(config), _reads_both_ways(folder, config)
    limit = max_tokens_of(folder, {"max_position_embeddings": settings.max_position_embeddings}, {})
    dense = _dense_folders(folder)
    written = {**(config.get("mlx") or {}), **read_json(folder / "config_sentence_transformers.json")}
    lowercase = bool(read_json(folder / "sentence_bert_config.json").get("do_lower_case"))
    tokenizer = ModelTokenizer(folder / "tokenizer.json", limit - 1, settings.vocab_size, lowercase)
    prompts = TextPrompts(tokenizer, _colbert_format(folder, tokenizer, written), limit)
    network = partial(_network, folder, config, settings, dense, both_ways=both_ways)
    return MultiVectorModel(prompts, network, limit, takes_images=False)


def _network(
    folder: Path, config: dict[str, Any], settings: ModelConfig, dense: list[Path], *, both_ways: bool
) -> ColLfm2:
    """Every weight accounted for; they are read when first used. Raises InvalidInput."""
    weights, quantisation = renamed_checkpoint(folder, config, NAMES, UNUSED)
    for name, kernel in weights.items():
        if name.endswith("conv.conv.weight") and kernel.shape[-1] != 1:  # MLX has channels last
            weights[name] = kernel.transpose(0, 2, 1)
    layers = [load_dense(each) for each in dense] or [_projection(folder, weights)]
    for index, layer in enumerate(layers if dense else ()):
        own: dict[str, Any] = layer.linear.parameters()
        weights |= {f"dense.{index}.linear.{name}": value for name, value in own.items()}
    dimensions = int(layers[-1].linear.weight.shape[0])
    network = ColLfm2(settings, layers, dimensions, both_ways=both_ways)
    return fill(network, weights, folder, quantisation)


def _projection(folder: Path, weights: dict[str, mx.array]) -> Dense:
    """That of a conversion, which has it among the model's weights."""
    found = weights.get("dense.0.linear.weight")
    if found is None:
        raise InvalidInput(f"{folder} has no projection of LFM2-ColBERT.", param="model")
    norm = weights.get("language.embedding_norm.weight")
    if norm is None:
        raise InvalidInput(
            f"{folder}: its weights lack embedding_norm, which LFM2-ColBERT has; convert or download the model again.",
            param="model",
        )
    inputs = norm.shape[0]  # the projection itself may be packed
    return Dense(inputs, found.shape[0], "dense.0.linear.bias" in weights, tanh=False)


def _dense_folders(folder: Path) -> list[Path]:
    modules = modules_of(folder)
    if not modules:
        return [folder / "1_Dense"] if (folder / "1_Dense" / "config.json").is_file() else []
    kinds = " ".join(each.kind for each in modules)
    if not re.fullmatch(r"Transformer( Dense)+", kinds):
        raise InvalidInput(
            f"{folder}: its modules.json asks for {kinds!r}. Supported of a multi-vector model: Transformer, and Dense "
            "any number of times.",
            param="model",
        )
    return [each.folder for each in modules if each.kind == "Dense"]


def _reads_both_ways(folder: Path, config: dict[str, Any]) -> bool:
    """By the class that it names: nothing else in the folder tells."""
    architectures = config.get("architectures") or ()
    if "Lfm2BidirectionalModel" in architectures:
        return True
    if "Lfm2Model" in architectures:
        return False
    if (config.get("mlx") or {}).get("head") == "colbert":  # conversions of LFM2.5-ColBERT say so
        return True
    raise InvalidInput(
        f"{folder}: its config.json must name an architecture, Lfm2Model, which reads from left to right, or "
        f"Lfm2BidirectionalModel; it names {', '.join(architectures) or 'none'}.",
        param="model",
    )


def _colbert_format(folder: Path, tokenizer: ModelTokenizer, written: dict[str, Any]) -> ColbertFormat:
    """written: config_sentence_transformers.json, or what a conversion has instead of it. PyLate's defaults are used
    where it says nothing.
    """
    names = read_json(folder / "tokenizer_config.json")
    fills = written.get("do_query_expansion", True)
    filling = next(filter(None, (special_token(names, kind) for kind in ("mask", "eos", "pad"))), None)
    if fills and (filling is None or names.get("padding_side") == "left"):
        raise InvalidInput(
            f"{folder}: its queries are to be filled up, and its tokenizer_config.json has them filled up on the left, "
            "or with nothing: it names no mask_token, eos_token or pad_token.",
            param="model",
        )
    words = written.get("skiplist_words")
    unknown = tokenizer.token_id(special_token(names, "unk") or "")
    skipped = (tokenizer.token_id(word) for word in (string.punctuation if words is None else words))
    return ColbertFormat(
        query=_token_id(folder, tokenizer, written.get("query_prefix", "[Q] ")),
        document=_token_id(folder, tokenizer, written.get("document_prefix", "[D] ")),
        filling=_token_id(folder, tokenizer, filling or "") or 0,
        query_length=int(written.get("query_length") or 32) if fills else 0,
        attends_filling=bool(written.get("attend_to_expansion_tokens")),
        skipped=[
            each for each in (unknown if found is None else found for found in skipped) if each is not None
        ],
    )


def _token_id(folder: Path, tokenizer: ModelTokenizer, token: str) -> int | None:
    if not token:
        return None
    found = tokenizer.token_id(token)
    if found is None:
        raise InvalidInput(f"{folder}: its tokenizer.json knows no {token!r}.", param="model")
    return found


def _settings(config: dict[str, Any]) -> ModelConfig:
    rope = config.get("rope_parameters") or {}
    if rope.get("rope_type", "default") != "default":
        config = {**config, "rope_scaling": rope}
    check_config("LFM2-ColBERT", config, REQUIRED)
    with complete_config():
        kinds = config.get("layer_types")
        if kinds:
            config = {
                **config,
                "full_attn_idxs": [at for at, kind in enumerate(kinds) if kind == "full_attention"],
            }
        found = ModelConfig.from_dict({**DEFAULTS, "block_dim": config["hidden_size"], **config})
    if not found.full_attn_idxs:
        raise InvalidInput("This LFM2-ColBERT has no layer of attention.", param="model")
    return found
