"""Small random vision models, laid out as they are published for MLX.

python -m tests.checkpoints.vision FOLDER writes all of them.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from mlx.utils import tree_flatten
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tests.checkpoints import vocabularies
from tests.checkpoints.make import SEED, write_json

SEEDS = {"qwen2_5_vl": 22, "qwen3_vl": 17, "qwen3_5": 6, "smolvlm": 10, "gemma3": 13}
"""Of draws whose answers to the tests' prompts are clear: the second most probable token is far behind."""
NAMES = tuple(SEEDS)

_CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_QWEN_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"]
_QWEN_TOKENS += ["<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]
_GEMMA_TOKENS = ["<|endoftext|>", "<|im_start|>", "<end_of_turn>"]
_GEMMA_TOKENS += ["<start_of_image>", "<end_of_image>", "<image_soft_token>"]
_SMOL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<fake_token_around_image>", "<image>"]
_SMOL_TOKENS += ["<global-img>", "<end_of_utterance>", "<video>"]
_SMOL_TOKENS += [f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)]


def make(name: str, folder: Path) -> Path:
    """Write the model `name` (one of NAMES) into `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    {
        "qwen2_5_vl": _qwen2_5_vl,
        "qwen3_vl": _qwen3_vl,
        "qwen3_5": _qwen3_5,
        "smolvlm": _smolvlm,
        "gemma3": _gemma3,
    }[name](folder)
    return folder


def _qwen2_5_vl(folder: Path) -> None:
    """Positions of three axes; images of any size, 28 x 28 pixels a token."""
    vision = {"spatial_patch_size": 14, "window_size": 112, "fullatt_block_indexes": [1]}
    rope = {"rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}}
    _qwen(folder, "qwen2_5_vl", rope, vision, nested=False)


def _qwen3_vl(folder: Path) -> None:
    """As before, and what the vision tower finds half-way is added to the language part's first layers."""
    text = {"head_dim": 16, "rope_scaling": {"rope_type": "default", "mrope_section": [4, 2, 2]}}
    vision = {"num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
    _qwen(folder, "qwen3_vl", text, vision, nested=True)


def _qwen3_5(folder: Path) -> None:
    """As before, with layers of a recurrent state; no findings from half-way."""
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1]}
    text = {
        "head_dim": 16,
        "num_hidden_layers": 4,
        "full_attention_interval": 2,
        "linear_num_value_heads": 4,
        "linear_num_key_heads": 2,
        "linear_key_head_dim": 32,
        "linear_value_head_dim": 32,
        "linear_conv_kernel_dim": 4,
        "rope_parameters": {**rope, "rope_theta": 10000.0, "partial_rotary_factor": 0.5},
    }
    vision = {"num_position_embeddings": 64, "deepstack_visual_indexes": []}
    _qwen(folder, "qwen3_5", text, vision, nested=True)


def _qwen(
    folder: Path, model_type: str, text: dict[str, Any], vision: dict[str, Any], *, nested: bool
) -> None:
    """nested: whether the config has the text part's settings apart."""
    tokenizer = vocabularies.byte_bpe(_QWEN_TOKENS, [], [])
    ids = {name: tokenizer.token_to_id(name) for name in _QWEN_TOKENS}
    vocab = tokenizer.get_vocab_size() + 3
    text = {**_text(f"{model_type}_text" if nested else model_type, vocab), **text}
    config = {
        **({"text_config": text} if nested else text),
        "model_type": model_type,
        "vocab_size": vocab,
        "eos_token_id": ids["<|im_end|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "vision_token_id": ids["<|vision_pad|>"],
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_config": {
            "model_type": model_type,
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "out_hidden_size": 64,
            "num_heads": 2,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "in_channels": 3,
            **vision,
        },
    }
    _write(folder, config, tokenizer, _CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"))
    processor = {"min_pixels": 28 * 28 * 4, "max_pixels": 28 * 28 * 24, "patch_size": 14, "merge_size": 2}
    processor |= {"temporal_patch_size": 2, "image_processor_type": "Qwen2VLImageProcessor"}
    write_json(folder / "preprocessor_config.json", processor)


def _smolvlm(folder: Path) -> None:
    """Positions as any text has them; an image is cut into tiles of 4 tokens, and has a small whole beside them."""
    tokenizer = vocabularies.byte_bpe(_SMOL_TOKENS, [], [])
    vocab = tokenizer.get_vocab_size() + 3
    config = {
        "model_type": "smolvlm",
        "image_token_id": tokenizer.token_to_id("<image>"),
        "eos_token_id": tokenizer.token_to_id("<end_of_utterance>"),
        "scale_factor": 2,
        "vocab_size": vocab,
        "text_config": {**_text("llama", vocab), "head_dim": 16},
        "vision_config": {
            "model_type": "smolvlm_vision",
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_attention_heads": 2,
            "num_hidden_layers": 2,
            "image_size": 56,
            "patch_size": 14,
        },
    }
    template = _CHATML.replace("IMAGE", "<image>").replace("<|im_end|>", "<end_of_utterance>")
    _write(folder, config, tokenizer, template)
    processor = {
        "image_processor_type": "SmolVLMImageProcessor",
        "processor_class": "SmolVLMProcessor",
        "size": {"longest_edge": 112},
        "max_image_size": {"longest_edge": 56},
        "do_image_splitting": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    write_json(folder / "preprocessor_config.json", processor)
    write_json(folder / "processor_config.json", {"image_seq_len": 4, "processor_class": "SmolVLMProcessor"})


def _gemma3(folder: Path) -> None:
    """Windows in every other layer; an image of 4 tokens, whatever its size."""
    tokenizer = vocabularies.byte_bpe(_GEMMA_TOKENS, [], [])
    vocab = tokenizer.get_vocab_size() + 3
    config = {
        "model_type": "gemma3",
        "image_token_index": tokenizer.token_to_id("<image_soft_token>"),
        "eos_token_id": [tokenizer.token_to_id("<end_of_turn>")],
        "hidden_size": 64,
        "vocab_size": vocab,
        "text_config": {
            **_text("gemma3_text", vocab),
            "head_dim": 16,
            "query_pre_attn_scalar": 16,
            "sliding_window": 16,
            "sliding_window_pattern": 2,
            "mm_tokens_per_image": 4,
        },
        "vision_config": {
            "model_type": "siglip_vision_model",
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_attention_heads": 2,
            "num_hidden_layers": 2,
            "image_size": 56,
            "patch_size": 14,
        },
    }
    template = _CHATML.replace("IMAGE", "<start_of_image>").replace("<|im_end|>", "<end_of_turn>")
    marks = {
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": "<image_soft_token>",
    }
    _write(folder, config, tokenizer, template, extra_special_tokens=marks)
    processor = {
        "image_processor_type": "Gemma3ImageProcessor",
        "size": {"height": 56, "width": 56},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "do_pan_and_scan": False,
    }
    write_json(folder / "preprocessor_config.json", processor)
    write_json(
        folder / "processor_config.json", {"image_seq_length": 4, "processor_class": "Gemma3Processor"}
    )


def _text(model_type: str, vocab: int) -> dict[str, Any]:
    return {
        "model_type": model_type,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_theta": 10000.0,
        "max_position_embeddings": 512,
        "tie_word_embeddings": False,
        "vocab_size": vocab,
    }


def _write(folder: Path, config: dict[str, Any], tokenizer: Any, template: str, **more: Any) -> None:
    write_json(folder / "config.json", config)
    save_file(_weights(config), folder / "model.safetensors", metadata={"format": "mlx"})
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<|endoftext|>", **more},
    )
    write_json(folder / "chat_template.json", {"chat_template": template})


def _weights(config: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
    """Of the shapes that the model has in mlx-vlm. Large enough that images and distant tokens change an answer, with
    a head that sets the tokens' scores far apart: greedy answers must not hang on rounding."""
    from mlx_vlm.utils import get_model_and_args, update_module_configs

    config = {**config}
    build, _ = get_model_and_args(config)
    settings = build.ModelConfig.from_dict(config)
    settings = update_module_configs(settings, build, config, ["text", "vision"])
    random = np.random.default_rng([SEED, SEEDS[config["model_type"]]])
    found: dict[str, NDArray[np.float32]] = {}
    weights: Any = tree_flatten(build.Model(settings).parameters())
    for name, value in sorted(weights):
        drawn = random.normal(0, 1, value.shape)
        gemma = config["model_type"] == "gemma3" and "vision" not in name
        # It adds one. Its head is the embeddings, which must not only see themselves.
        if gemma and "norm" in name:
            drawn = 0.2 * drawn + 20.0 * ("post_" in name)
        elif "norm" in name and value.ndim == 1:
            drawn = 0.2 * drawn + name.endswith("weight")
        elif value.ndim == 1:
            drawn *= 0.2
        elif "embed_tokens" in name:
            drawn /= 4.0 if gemma else 1.0
        else:
            drawn *= (6.0 if "lm_head" in name else 1.4) / np.prod(value.shape[1:]) ** 0.5
        found[name] = drawn.astype(np.float32)
    return found


if __name__ == "__main__":
    for model in NAMES:
        print(make(model, Path(sys.argv[1]) / model))
