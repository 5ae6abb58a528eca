"""A checkpoint of the real shape and layout of Qwen3-Embedding-0.6B, with random weights: speed needs no sense.

`python -m bench.checkpoint FOLDER` (1.2 GB).
"""

import json
import sys
from pathlib import Path
from typing import Any

from bench.corpus import WORDS

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_SIZE, INNER, VOCABULARY = 1024, 28, 16, 8, 128, 3072, 151_669

CONFIG: dict[str, Any] = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_act": "silu",
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "head_dim": HEAD_SIZE,
    "intermediate_size": INNER,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1_000_000,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "torch_dtype": "bfloat16",
}
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]


def write_checkpoint(folder: Path) -> Path:
    """Write it, unless it is there. Imports MLX."""
    if (folder / "model.safetensors").exists():
        return folder
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    pooling = {"word_embedding_dimension": HIDDEN, "pooling_mode_lasttoken": True}
    for name, value in (
        ("config.json", CONFIG),
        ("modules.json", MODULES),
        ("1_Pooling/config.json", pooling),
    ):
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    _write_tokenizer(folder)
    _write_weights(folder / "model.safetensors")
    return folder


def _write_tokenizer(folder: Path) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([" ".join(WORDS)] * 4, trainer)
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True)])
    end = tokenizer.token_to_id("<|endoftext|>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", end)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<|endoftext|>",
        "model_max_length": 32768,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def _write_weights(path: Path) -> None:
    import mlx.core as mx

    mx.random.seed(0)

    def normal(*shape: int) -> mx.array:
        return (mx.random.normal(shape) * 0.02).astype(mx.bfloat16)

    weights = {"embed_tokens.weight": normal(VOCABULARY, HIDDEN), "norm.weight": mx.ones(HIDDEN, mx.bfloat16)}
    for layer in range(LAYERS):
        name = f"layers.{layer}"
        for norm, size in (("input_layernorm", HIDDEN), ("post_attention_layernorm", HIDDEN)):
            weights[f"{name}.{norm}.weight"] = mx.ones(size, mx.bfloat16)
        for norm in ("q_norm", "k_norm"):
            weights[f"{name}.self_attn.{norm}.weight"] = mx.ones(HEAD_SIZE, mx.bfloat16)
        for projection, heads in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)):
            weights[f"{name}.self_attn.{projection}_proj.weight"] = normal(heads * HEAD_SIZE, HIDDEN)
        weights[f"{name}.self_attn.o_proj.weight"] = normal(HIDDEN, HEADS * HEAD_SIZE)
        for projection in ("gate", "up"):
            weights[f"{name}.mlp.{projection}_proj.weight"] = normal(INNER, HIDDEN)
        weights[f"{name}.mlp.down_proj.weight"] = normal(HIDDEN, INNER)
    mx.save_safetensors(str(path), weights, metadata={"format": "pt"})


if __name__ == "__main__":
    write_checkpoint(Path(sys.argv[1]))
