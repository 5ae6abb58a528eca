"""A ColQwen2.5 with random weights, laid out as colpali_engine saves it with transformers 5: speed needs no sense.

`python -m bench.gpu.page_checkpoint FOLDER SHAPE` writes one; COLQWEN_3B takes 7.5 GB.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.corpus import WORDS

if TYPE_CHECKING:
    import mlx.core as mx

TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>")
TOKENS += ("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")

PATCH, MERGE, FRAMES = 14, 2, 2
SHARD_LAYERS = 6
"""Layers in one file: what is held in memory at a time."""

Weights = dict[str, "mx.array"]


class Shape(NamedTuple):
    """Sizes of a ColQwen2.5. seen_*: of its vision tower, which sees whole images in the layers `everywhere`.
    dtype: an MLX type.
    """

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    inner: int
    vocabulary: int
    seen_hidden: int
    seen_layers: int
    seen_heads: int
    seen_inner: int
    everywhere: tuple[int, ...]
    dimensions: int
    dtype: str

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads

    @property
    def config(self) -> dict[str, Any]:
        """Without the ids of special tokens."""
        eighth = self.head_size // 16
        rope = {
            "mrope_section": [2 * eighth, 3 * eighth, 3 * eighth],
            "rope_type": "default",
            "type": "mrope",
            "rope_theta": 1_000_000.0,
        }
        text = {
            "model_type": "qwen2_5_vl_text",
            "hidden_size": self.hidden,
            "intermediate_size": self.inner,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "hidden_act": "silu",
            "rms_norm_eps": 1e-6,
            "max_position_embeddings": 128_000,
            "use_sliding_window": False,
            "vocab_size": self.vocabulary,
            "rope_parameters": rope,
        }
        vision = {
            "model_type": "qwen2_5_vl_vision",
            "depth": self.seen_layers,
            "hidden_size": self.seen_hidden,
            "hidden_act": "silu",
            "intermediate_size": self.seen_inner,
            "num_heads": self.seen_heads,
            "out_hidden_size": self.hidden,
            "in_channels": 3,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": FRAMES,
            "tokens_per_second": 2,
            "window_size": 112,
            "fullatt_block_indexes": list(self.everywhere),
        }
        return {
            "model_type": "qwen2_5_vl",
            "architectures": ["ColQwen2_5"],
            "dtype": self.dtype,
            "tie_word_embeddings": True,
            "text_config": text,
            "vision_config": vision,
        }


SHAPES = {
    "COLQWEN_3B": Shape(
        2048, 36, 16, 2, 11_008, 151_936, 1280, 32, 16, 3420, (7, 15, 23, 31), 128, "bfloat16"
    ),
    "SMALL": Shape(64, 2, 4, 2, 96, 4096, 32, 2, 2, 48, (1,), 128, "bfloat16"),
}
"""SMALL: to try the benchmark on a CPU."""

PROCESSOR = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "processor_class": "ColQwen2_5_Processor",
    "min_pixels": 56 * 56,
    "max_pixels": 768 * 28 * 28,  # of the published checkpoints
    "patch_size": PATCH,
    "merge_size": MERGE,
    "temporal_patch_size": FRAMES,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
TOKENIZER = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "pad_token": "<|endoftext|>",
    "model_max_length": 131_072,
}


def write_colqwen(folder: Path, shape: Shape) -> Path:
    """Write a ColQwen2.5, unless it is there. Imports MLX."""
    index = folder / "model.safetensors.index.json"
    if index.exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    ids = _write_tokenizer(folder / "tokenizer.json")
    marks = {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
    }
    _write_json(folder / "config.json", shape.config | marks)
    _write_json(folder / "tokenizer_config.json", TOKENIZER)
    _write_json(folder / "preprocessor_config.json", PROCESSOR)
    _write_json(index, {"weight_map": _write_shards(folder, shape)})  # last: it says that all is there
    return folder


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _write_tokenizer(path: Path) -> dict[str, int]:
    """The ids of TOKENS."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([" ".join(WORDS)], trainer)
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in TOKENS])
    tokenizer.save(str(path))
    return {name: tokenizer.get_vocab()[name] for name in TOKENS}


def _write_shards(folder: Path, shape: Shape) -> dict[str, str]:
    """The file of each weight."""
    import mlx.core as mx

    mx.random.seed(0)
    files: dict[str, str] = {}
    for number, weights in enumerate(_shards(shape)):
        name = f"model-{number:05}.safetensors"
        mx.save_safetensors(str(folder / name), weights, metadata={"format": "pt"})
        files |= dict.fromkeys(weights, name)
        weights.clear()
        mx.clear_cache()
    return files


def _shards(shape: Shape) -> Iterator[Weights]:
    """Drawn when they are saved."""
    draw = _Draw(shape.dtype)
    _draw_ends(draw, shape)
    yield draw.taken()
    for number in range(shape.seen_layers):
        _draw_block(draw, shape, f"visual.blocks.{number}")
    yield draw.taken()
    for number in range(shape.layers):
        _draw_layer(draw, shape, f"language_model.layers.{number}")
        if number % SHARD_LAYERS == SHARD_LAYERS - 1 or number == shape.layers - 1:
            yield draw.taken()


class _Draw:
    """Collects weights. Norms are 1, all others normal."""

    def __init__(self, dtype: str) -> None:
        import mlx.core as mx

        self._mx, self._dtype = mx, getattr(mx, dtype)
        self._weights: Weights = {}

    def taken(self) -> Weights:
        weights, self._weights = self._weights, {}
        return weights

    def table(self, name: str, *size: int) -> None:
        drawn = (self._mx.random.normal(size) * 0.02).astype(self._dtype)
        self._mx.eval(drawn)  # in half the bytes of what is drawn
        self._weights[f"{name}.weight"] = drawn

    def linear(self, name: str, inputs: int, outputs: int, *, bias: bool) -> None:
        self.table(name, outputs, inputs)
        if bias:
            self._weights[f"{name}.bias"] = (self._mx.random.normal((outputs,)) * 0.02).astype(self._dtype)

    def norm(self, name: str, size: int) -> None:
        self._weights[f"{name}.weight"] = self._mx.ones(size, self._dtype)

    def gated(self, name: str, outer: int, inner: int, *, bias: bool) -> None:
        self.linear(f"{name}.gate_proj", outer, inner, bias=bias)
        self.linear(f"{name}.up_proj", outer, inner, bias=bias)
        self.linear(f"{name}.down_proj", inner, outer, bias=bias)


def _draw_ends(draw: _Draw, shape: Shape) -> None:
    """What is before, between and after the layers."""
    block = MERGE * MERGE * shape.seen_hidden
    draw.table("visual.patch_embed.proj", shape.seen_hidden, 3, FRAMES, PATCH, PATCH)
    draw.norm("visual.merger.ln_q", shape.seen_hidden)
    draw.linear("visual.merger.mlp.0", block, block, bias=True)
    draw.linear("visual.merger.mlp.2", block, shape.hidden, bias=True)
    draw.table("language_model.embed_tokens", shape.vocabulary, shape.hidden)
    draw.norm("language_model.norm", shape.hidden)
    draw.linear("custom_text_proj", shape.hidden, shape.dimensions, bias=True)


def _draw_block(draw: _Draw, shape: Shape, name: str) -> None:
    draw.norm(f"{name}.norm1", shape.seen_hidden)
    draw.norm(f"{name}.norm2", shape.seen_hidden)
    draw.linear(f"{name}.attn.qkv", shape.seen_hidden, 3 * shape.seen_hidden, bias=True)
    draw.linear(f"{name}.attn.proj", shape.seen_hidden, shape.seen_hidden, bias=True)
    draw.gated(f"{name}.mlp", shape.seen_hidden, shape.seen_inner, bias=True)


def _draw_layer(draw: _Draw, shape: Shape, name: str) -> None:
    draw.norm(f"{name}.input_layernorm", shape.hidden)
    draw.norm(f"{name}.post_attention_layernorm", shape.hidden)
    draw.linear(f"{name}.self_attn.q_proj", shape.hidden, shape.hidden, bias=True)
    for projection in ("k_proj", "v_proj"):
        draw.linear(
            f"{name}.self_attn.{projection}", shape.hidden, shape.kv_heads * shape.head_size, bias=True
        )
    draw.linear(f"{name}.self_attn.o_proj", shape.hidden, shape.hidden, bias=False)
    draw.gated(f"{name}.mlp", shape.hidden, shape.inner, bias=False)


if __name__ == "__main__":
    write_colqwen(Path(sys.argv[1]), SHAPES[sys.argv[2]])
