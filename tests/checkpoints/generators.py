"""Small random text generators of several families, laid out as they are published for MLX, to be asked for vectors.

python -m tests.checkpoints.generators FOLDER writes all of them.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tests.checkpoints import vocabularies
from tests.checkpoints.make import SEED, write_json

NAMES = ("qwen3", "llama", "gemma2", "gemma3_text", "phi", "lfm2", "mamba", "qwen3_next")
"""gemma2: scores that are squeezed after the head. gemma3_text: windows. phi: a last norm with another name and a bias.
lfm2: short convolutions. mamba: nothing but a recurrent state. qwen3_next: that, and attention.
"""
SPECIALS = ["<|endoftext|>", "<s>", "<|im_start|>", "<|im_end|>"]
HIDDEN, INNER, LAYERS, HEADS, KEY_HEADS, POSITIONS = 64, 96, 3, 4, 2, 256

_OWN: dict[str, dict[str, Any]] = {
    "qwen3": {"head_dim": 16, "tie_word_embeddings": True},
    "llama": {},
    "gemma2": {
        "head_dim": 16,
        "query_pre_attn_scalar": 16,
        "sliding_window": 4096,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "hidden_activation": "gelu_pytorch_tanh",
    },
    "gemma3_text": {
        "head_dim": 16,
        "query_pre_attn_scalar": 16,
        "sliding_window": 16,
        "sliding_window_pattern": 3,
        "rope_local_base_freq": 10000.0,
        "hidden_activation": "gelu_pytorch_tanh",
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
    },
    "phi": {"partial_rotary_factor": 0.5, "layer_norm_eps": 1e-05, "hidden_act": "gelu_new"},
    "lfm2": {
        "norm_eps": 1e-05,
        "conv_bias": False,
        "conv_L_cache": 3,
        "block_dim": HIDDEN,
        "block_ff_dim": INNER,
        "block_multiple_of": 16,
        "block_ffn_dim_multiplier": 1.0,
        "block_auto_adjust_ff_dim": True,
        "layer_types": ["conv", "full_attention", "conv"],
        "tie_word_embeddings": True,
    },
    "mamba": {
        "state_size": 8,
        "conv_kernel": 4,
        "use_bias": False,
        "use_conv_bias": True,
        "time_step_rank": 4,
        "layer_norm_epsilon": 1e-05,
        "tie_word_embeddings": True,
    },
    "qwen3_next": {
        "num_hidden_layers": 4,
        "head_dim": 16,
        "full_attention_interval": 2,
        "layer_types": ["linear_attention", "full_attention"] * 2,
        "linear_num_value_heads": 4,
        "linear_num_key_heads": 2,
        "linear_key_head_dim": 32,
        "linear_value_head_dim": 32,
        "linear_conv_kernel_dim": 4,
        "num_experts": 0,
        "num_experts_per_tok": 0,
        "decoder_sparse_step": 1,
        "shared_expert_intermediate_size": INNER,
        "moe_intermediate_size": INNER,
        "mlp_only_layers": [],
        "partial_rotary_factor": 0.5,
    },
}


def make(name: str, folder: Path) -> Path:
    """Write the model `name` (one of NAMES) into `folder`, which is made. Its tokenizer puts <s> before a text."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = vocabularies.byte_bpe(SPECIALS, ["<s>"], [])
    config = _config(name, tokenizer.get_vocab_size() + 3)
    write_json(folder / "config.json", config)
    save_file(weights_of(config), folder / "model.safetensors", metadata={"format": "mlx"})
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": "<s>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **names})
    return folder


def _config(name: str, vocab: int) -> dict[str, Any]:
    return {
        "model_type": name,
        "vocab_size": vocab,
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS,
        "rms_norm_eps": 1e-06,
        "rope_theta": 10000.0,
        "max_position_embeddings": POSITIONS,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 3,
        "pad_token_id": 0,
        **_OWN[name],
    }


def weights_of(config: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
    """Of the shapes that the model has in mlx-lm; large enough that order and distant tokens show in a vector."""
    from mlx.utils import tree_flatten  # not where references are made
    from mlx_lm.utils import _get_classes  # pyright: ignore[reportPrivateUsage]  # versions are pinned

    build, settings = _get_classes(config)
    random = np.random.default_rng([SEED, 151, NAMES.index(config["model_type"])])
    found: dict[str, NDArray[np.float32]] = {}
    weights: Any = tree_flatten(build(settings.from_dict(config)).parameters())
    for name, value in sorted(weights):
        drawn = random.normal(0, 1, value.shape)
        if value.ndim == 1:
            adds_one = config["model_type"].startswith("gemma")  # to its norms' weights
            is_scale = "norm" in name and name.endswith("weight") and not adds_one
            drawn = 0.2 * drawn + is_scale
        elif "embed" not in name:
            drawn *= 1.4 / np.prod(value.shape[1:]) ** 0.5
        found[name] = drawn.astype(np.float32)
    return found


if __name__ == "__main__":
    for model in NAMES:
        print(make(model, Path(sys.argv[1]) / model))
