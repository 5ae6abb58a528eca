"""A small random ColQwen2.5, laid out as those who publish it do, and what tests have it read. NumPy and Pillow.

python -m tests.checkpoints.colqwen FOLDER writes it in all layouts.
"""

import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save_file

from tests.checkpoints import vocabularies
from tests.checkpoints.make import SEED, Draw, Weights, write_json
from tests.support.images import painted

LAYOUTS = ("colpali", "merged", "mlx")
"""colpali: as colpali_engine saves it with transformers 5. merged: with transformers 4. mlx: as mlx-embeddings does."""

TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"]
TOKENS += ["<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]

HIDDEN, INNER, LAYERS, HEADS, KEY_HEADS, DIMENSIONS = 64, 96, 3, 4, 2, 128
SEEN, SEEN_INNER, BLOCKS, SEEN_HEADS = 32, 48, 3, 2
MAX_BLOCKS = 40

QUERIES = (
    "red fox",
    "the quick red fox jumps over a slow dog?",
    "",
    "the old sailor writes a letter to the queen and the doctor reads it under a warm light at night",
)
DOCUMENTS = (
    "the king sleeps",
    "snow follows rain, and the sea carries the wind to the farmer's garden. " * 2,
)
IMAGE_SIZES = ((224, 140), (100, 310), (300, 200), (56, 56), (20, 33), (417, 90))
"""Width and height in pixels: whole blocks, tall, too large, square, too small, wide."""


class Names(NamedTuple):
    """What a layout calls the parts."""

    visual: str
    language: str
    projection: str


NAMES = {
    "colpali": Names("visual.", "language_model.", "custom_text_proj."),
    "merged": Names("visual.", "model.", "custom_text_proj."),
    "mlx": Names("vlm.vision_tower.", "vlm.language_model.model.", "embedding_proj_layer."),
}


def make(folder: Path, layout: str = "colpali") -> Path:
    """Write the model into `folder`, which is made. Its weights are the same in each of LAYOUTS."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = vocabularies.byte_bpe(TOKENS, [], [])
    vocab = tokenizer.get_vocab_size() + 3
    write_json(
        folder / "config.json", _config(layout, vocab, {name: tokenizer.token_to_id(name) for name in TOKENS})
    )
    save_file(_named(_weights(vocab), layout), folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "pad_token": "<|endoftext|>",
            "model_max_length": 131072,
        },
    )
    write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "Qwen2VLImageProcessor",
            "processor_class": "ColQwen2_5_Processor",
            "min_pixels": 28 * 28 * 4,
            "max_pixels": 28 * 28 * MAX_BLOCKS,
            "patch_size": 14,
            "merge_size": 2,
            "temporal_patch_size": 2,
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711],
        },
    )
    return folder


def png(number: int) -> bytes:
    """A PNG of the size IMAGE_SIZES[number]."""
    return painted(*IMAGE_SIZES[number], [SEED, 128, number])


def _config(layout: str, vocab: int, ids: dict[str, int | None]) -> dict[str, Any]:
    text: dict[str, Any] = {
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-06,
        "max_position_embeddings": 1024,
        "use_sliding_window": False,
        "vocab_size": vocab,
    }
    vision: dict[str, Any] = {
        "depth": BLOCKS,
        "hidden_size": SEEN,
        "hidden_act": "silu",
        "intermediate_size": SEEN_INNER,
        "num_heads": SEEN_HEADS,
        "out_hidden_size": HIDDEN,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "tokens_per_second": 2,
        "window_size": 112,
        "fullatt_block_indexes": [1],
    }
    sections = {"mrope_section": [2, 3, 3]}
    whole = {
        "model_type": "qwen2_5_vl",
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "tie_word_embeddings": False,
    }
    if layout == "colpali":
        rope = {
            "rope_parameters": {**sections, "rope_type": "default", "type": "mrope", "rope_theta": 10000.0}
        }
        return {
            **whole,
            "architectures": ["ColQwen2_5"],
            "dtype": "float32",
            "text_config": {**text, **rope, "model_type": "qwen2_5_vl_text"},
            "vision_config": {**vision, "in_channels": 3, "model_type": "qwen2_5_vl_vision"},
        }
    flat = {
        **whole,
        **text,
        "rope_theta": 10000.0,
        "rope_scaling": {**sections, "type": "mrope"},
        "vision_config": {**vision, "in_chans": 3, "model_type": "qwen2_5_vl"},
    }
    if layout == "merged":
        return {**flat, "architectures": ["ColQwen2_5"], "torch_dtype": "float32"}
    return {"model_type": "colqwen2_5", "embedding_dim": DIMENSIONS, "vlm_config": flat}


def _weights(vocab: int) -> Weights:
    """With colpali_engine's names. Large enough that images and distant tokens show in every vector."""
    draw = Draw(np.random.default_rng([SEED, 127]))
    _tower(draw)
    table = draw.random.normal(0, 1, (vocab, HIDDEN))
    draw.weights["language_model.embed_tokens.weight"] = table.astype(np.float32)
    for number in range(LAYERS):
        layer = f"language_model.layers.{number}"
        draw.norm(f"{layer}.input_layernorm", HIDDEN, bias=False)
        draw.linear(f"{layer}.self_attn.q_proj", HIDDEN, HIDDEN)
        for name in ("k_proj", "v_proj"):
            draw.linear(f"{layer}.self_attn.{name}", HIDDEN, HIDDEN // HEADS * KEY_HEADS)
        draw.linear(f"{layer}.self_attn.o_proj", HIDDEN, HIDDEN, bias=False)
        draw.norm(f"{layer}.post_attention_layernorm", HIDDEN, bias=False)
        _gated(draw, f"{layer}.mlp", HIDDEN, INNER, bias=False)
    draw.norm("language_model.norm", HIDDEN, bias=False)
    draw.linear("custom_text_proj", HIDDEN, DIMENSIONS)
    return draw.weights


def _tower(draw: Draw) -> None:
    kernel = draw.random.normal(0, 1.4 / (3 * 14 * 14) ** 0.5, (SEEN, 3, 2, 14, 14))
    draw.weights["visual.patch_embed.proj.weight"] = kernel.astype(np.float32)
    for number in range(BLOCKS):
        block = f"visual.blocks.{number}"
        draw.norm(f"{block}.norm1", SEEN, bias=False)
        draw.norm(f"{block}.norm2", SEEN, bias=False)
        draw.linear(f"{block}.attn.qkv", SEEN, 3 * SEEN)
        draw.linear(f"{block}.attn.proj", SEEN, SEEN)
        _gated(draw, f"{block}.mlp", SEEN, SEEN_INNER, bias=True)
    draw.norm("visual.merger.ln_q", SEEN, bias=False)
    draw.linear("visual.merger.mlp.0", 4 * SEEN, 4 * SEEN)
    draw.linear("visual.merger.mlp.2", 4 * SEEN, HIDDEN)


def _gated(draw: Draw, name: str, outer: int, inner: int, *, bias: bool) -> None:
    draw.linear(f"{name}.gate_proj", outer, inner, bias)
    draw.linear(f"{name}.up_proj", outer, inner, bias)
    draw.linear(f"{name}.down_proj", inner, outer, bias)


def _named(weights: Weights, layout: str) -> Weights:
    found: Weights = {}
    for name, value in weights.items():
        for theirs, ours in zip(NAMES["colpali"], NAMES[layout], strict=True):
            name = re.sub(f"^{re.escape(theirs)}", ours, name)
        if layout == "mlx" and value.ndim == 5:
            value = np.ascontiguousarray(value.transpose(0, 2, 3, 4, 1))
        found[name] = value
    return found


if __name__ == "__main__":
    for each in LAYOUTS:
        print(make(Path(sys.argv[1]) / each, each))
