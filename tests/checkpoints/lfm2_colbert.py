"""A small random LFM2-ColBERT and an LFM2.5-ColBERT, laid out as those who publish them do, and texts for them. NumPy.

python -m tests.checkpoints.lfm2_colbert FOLDER writes them in all layouts.
"""

import re
import sys
from pathlib import Path
from string import punctuation
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from tests.checkpoints import vocabularies
from tests.checkpoints.make import SEED, Draw, Weights, write_json

NAMES = ("lfm2", "lfm2.5", "lfm2.5-attending", "lfm2-plain")
"""lfm2: reads from left to right. lfm2.5: both ways. attending: the filling of queries is looked at. plain: queries are
not filled up, documents keep their punctuation, and nothing tells the two apart.
"""
LAYOUTS = ("pylate", "mlx-vlm", "mlx")
"""pylate: the projection in a folder of its own. mlx-vlm: among the weights. mlx: as mlx-community's, which has all
settings in config.json.
"""

TOKENS = ["<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
HIDDEN, INNER, HEADS, KEY_HEADS, KERNEL, DIMENSIONS = 64, 96, 4, 2, 3, 32
KINDS = ("conv", "full_attention", "conv", "conv", "full_attention")
QUERY_LENGTH, DOCUMENT_LENGTH, POSITIONS = 16, 40, 512

QUERIES = (
    "red fox",
    "the quick red fox jumps over a slow dog?",
    "",
    "  the old sailor writes a letter to the queen, and the doctor reads it under a warm light at night ",
)
DOCUMENTS = (
    "the king sleeps",
    "Night.",
    "",
    "snow follows rain, and the sea carries the wind to the farmer's garden. " * 4,
    "search: cold river? 42! été 你好 🙂\n",
)


def make(folder: Path, name: str = "lfm2", layout: str = "pylate") -> Path:
    """Write the model into `folder`, which is made. Its weights are the same in each of LAYOUTS."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = vocabularies.byte_bpe(TOKENS, ["<|startoftext|>"], [])
    tokenizer.add_tokens(["[Q] ", "[D] "])
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<|startoftext|>",
            "eos_token": "<|im_end|>",
            "pad_token": "<|pad|>",
            "model_max_length": 1000000000000000019884624838656,
        },
    )
    settings = _settings(name)
    config = _config(tokenizer, name)
    weights = _weights(tokenizer.get_vocab_size(), name)
    if layout == "mlx":
        write_json(folder / "config.json", {**config, "mlx": {"head": "colbert", **settings}})
        save_file(_converted(weights, "", "dense."), folder / "model.safetensors")
        return folder
    write_json(folder / "config.json", config)
    write_json(folder / "config_sentence_transformers.json", settings)
    if layout == "mlx-vlm":
        converted = _converted(weights, "model.", "model.1_Dense.linear.")
        save_file(converted, folder / "model.safetensors", metadata={"format": "mlx"})
        return folder
    _write_modules(folder, weights)
    return folder


def _write_modules(folder: Path, weights: Weights) -> None:
    save_file(
        {"linear.weight": weights.pop("dense.weight")},
        _made(folder / "1_Dense") / "model.safetensors",
    )
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(
        folder / "1_Dense" / "config.json",
        {
            "in_features": HIDDEN,
            "out_features": DIMENSIONS,
            "bias": False,
            "activation_function": "torch.nn.modules.linear.Identity",
            "use_residual": False,
        },
    )
    kinds = ("sentence_transformers.models.Transformer", "pylate.models.Dense.Dense")
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": kind}
        for place, (kind, path) in enumerate(zip(kinds, ("", "1_Dense"), strict=True))
    ]
    write_json(folder / "modules.json", modules)
    limit = {
        "max_seq_length": QUERY_LENGTH - 1,
        "do_lower_case": False,
    }  # what was last in use when it was saved
    write_json(folder / "sentence_bert_config.json", limit)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _settings(name: str) -> dict[str, Any]:
    plain = name == "lfm2-plain"
    return {
        "prompts": {},
        "default_prompt_name": None,
        "similarity_fn_name": "MaxSim",
        "query_prefix": "" if plain else "[Q] ",
        "document_prefix": "" if plain else "[D] ",
        "query_length": QUERY_LENGTH,
        "document_length": DOCUMENT_LENGTH,
        "attend_to_expansion_tokens": name == "lfm2.5-attending",
        "skiplist_words": [] if plain else list(punctuation),
        "do_query_expansion": not plain,
    }


def _config(tokenizer: Tokenizer, name: str) -> dict[str, Any]:
    return {
        "architectures": ["Lfm2BidirectionalModel" if reads_both_ways(name) else "Lfm2Model"],
        "model_type": "lfm2",
        "hidden_size": HIDDEN,
        "block_dim": HIDDEN,
        "block_ff_dim": INNER,
        "block_auto_adjust_ff_dim": True,
        "block_ffn_dim_multiplier": 1.0,
        "block_multiple_of": 16,
        "conv_L_cache": KERNEL,
        "conv_bias": False,
        "layer_types": list(KINDS),
        "num_hidden_layers": len(KINDS),
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS,
        "norm_eps": 1e-05,
        "rope_theta": 10000.0,
        "max_position_embeddings": POSITIONS,
        "tie_embedding": True,
        "pad_token_id": tokenizer.token_to_id("<|pad|>"),
        "bos_token_id": tokenizer.token_to_id("<|startoftext|>"),
        "eos_token_id": tokenizer.token_to_id("<|im_end|>"),
        "vocab_size": tokenizer.get_vocab_size(),
        "dtype": "float32",
    }


def reads_both_ways(name: str) -> bool:
    return name.startswith("lfm2.5")


def _weights(vocab: int, name: str) -> Weights:
    """With transformers' names. Large enough that distant tokens and neighbours show in every vector."""
    draw = Draw(np.random.default_rng([SEED, 131, reads_both_ways(name)]))
    draw.weights["embed_tokens.weight"] = draw.random.normal(0, 1, (vocab, HIDDEN)).astype(np.float32)
    inner = -(-(2 * INNER // 3) // 16) * 16
    for number, kind in enumerate(KINDS):
        layer = f"layers.{number}"
        if kind == "conv":
            draw.linear(f"{layer}.conv.in_proj", HIDDEN, 3 * HIDDEN, bias=False)
            kernel = draw.random.normal(0, 1 / KERNEL**0.5, (HIDDEN, 1, KERNEL))
            draw.weights[f"{layer}.conv.conv.weight"] = kernel.astype(np.float32)
            draw.linear(f"{layer}.conv.out_proj", HIDDEN, HIDDEN, bias=False)
        else:
            draw.linear(f"{layer}.self_attn.q_proj", HIDDEN, HIDDEN, bias=False)
            for each in ("k_proj", "v_proj"):
                draw.linear(f"{layer}.self_attn.{each}", HIDDEN, HIDDEN // HEADS * KEY_HEADS, bias=False)
            for each in ("q_layernorm", "k_layernorm"):
                draw.norm(f"{layer}.self_attn.{each}", HIDDEN // HEADS, bias=False)
            draw.linear(f"{layer}.self_attn.out_proj", HIDDEN, HIDDEN, bias=False)
        for each, inputs, outputs in (("w1", HIDDEN, inner), ("w3", HIDDEN, inner), ("w2", inner, HIDDEN)):
            draw.linear(f"{layer}.feed_forward.{each}", inputs, outputs, bias=False)
        for each in ("operator_norm", "ffn_norm"):
            draw.norm(f"{layer}.{each}", HIDDEN, bias=False)
    draw.norm("embedding_norm", HIDDEN, bias=False)
    draw.linear("dense", HIDDEN, DIMENSIONS, bias=False)
    return draw.weights


def _converted(weights: Weights, prefix: str, dense: str) -> Weights:
    found: Weights = {}
    for name, value in weights.items():
        if name.startswith("dense."):
            found[re.sub("^dense\\.", dense, name)] = value
        else:
            is_kernel = value.ndim == 3
            found[prefix + name] = np.ascontiguousarray(value.transpose(0, 2, 1)) if is_kernel else value
    return found


if __name__ == "__main__":
    for model in NAMES:
        for each in LAYOUTS:
            print(make(Path(sys.argv[1]) / model / each, model, each))
