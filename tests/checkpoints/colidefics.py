"""A small random ColIdefics3 (ColSmol), laid out as those who publish it do. NumPy only.

python -m tests.checkpoints.colidefics FOLDER writes it in all layouts.
"""

import re
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tests.checkpoints import vocabularies
from tests.checkpoints.make import SEED, Draw, Weights, write_json

LAYOUTS = ("colpali", "mlx")

TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<fake_token_around_image>", "<image>"]
TOKENS += ["<global-img>", "<end_of_utterance>"]
TOKENS += [f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)]

HIDDEN, INNER, LAYERS, HEADS, KEY_HEADS, DIMENSIONS = 48, 80, 3, 3, 1, 128
SEEN, SEEN_INNER, SEEN_LAYERS, SEEN_HEADS = 32, 48, 2, 2
TILE, PATCH, SCALE, TILES = 48, 8, 2, 3
"""Six patches to a tile's side, 9 tokens a tile, and up to three tiles to an image's side."""

IMAGES = (3, 0, 1)
"""Of tests.checkpoints.colqwen.page: square, wide, tall."""

NAMES = (
    (r"^model\.vision_model\.", "vision_model."),
    (r"^model\.connector\.", "connector."),
    (r"^model\.text_model\.", "language_model."),
)


def make(folder: Path, layout: str = "colpali") -> Path:
    """Write the model into `folder`, which is made. Its weights are the same in each of LAYOUTS."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = vocabularies.byte_bpe(TOKENS, [], [])
    vocab = tokenizer.get_vocab_size() + 3
    image_token = tokenizer.token_to_id("<image>")
    write_json(folder / "config.json", _config(layout, image_token, vocab))
    save_file(_named(_weights(vocab), layout), folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_processor(folder)
    return folder


def _config(layout: str, image_token: int | None, vocab: int) -> dict[str, object]:
    return {
        "architectures": ["ColIdefics3"],
        "model_type": "idefics3" if layout == "colpali" else "colidefics3",
        "image_token_id": image_token,
        "scale_factor": SCALE,
        "dtype": "float32",
        "tie_word_embeddings": False,
        "text_config": {
            "model_type": "llama",
            "hidden_size": HIDDEN,
            "intermediate_size": INNER,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": KEY_HEADS,
            "head_dim": HIDDEN // HEADS,
            "hidden_act": "silu",
            "rms_norm_eps": 1e-05,
            "rope_theta": 100000.0,
            "max_position_embeddings": 1024,
            "vocab_size": vocab,
        },
        "vision_config": {
            "model_type": "idefics3_vision",
            "hidden_size": SEEN,
            "intermediate_size": SEEN_INNER,
            "num_hidden_layers": SEEN_LAYERS,
            "num_attention_heads": SEEN_HEADS,
            "hidden_act": "gelu_pytorch_tanh",
            "image_size": TILE,
            "patch_size": PATCH,
            "layer_norm_eps": 1e-06,
        },
    }


def _write_processor(folder: Path) -> None:
    """What the tokenizer's and the images' processors are made of."""
    marks = {
        "fake_image_token": "<fake_token_around_image>",
        "image_token": "<image>",
        "end_of_utterance_token": "<end_of_utterance>",
        "global_image_token": "<global-img>",
    }
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "pad_token": "<|im_end|>",
            "extra_special_tokens": marks,
        },
    )
    write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "Idefics3ImageProcessor",
            "processor_class": "ColIdefics3Processor",
            "do_image_splitting": True,
            "size": {"longest_edge": TILES * TILE},
            "max_image_size": {"longest_edge": TILE},
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
            "resample": 1,
        },
    )
    tokens = (TILE // PATCH // SCALE) ** 2
    write_json(
        folder / "processor_config.json", {"image_seq_len": tokens, "processor_class": "ColIdefics3Processor"}
    )


def _weights(vocab: int) -> Weights:
    """With colpali_engine's names. Large enough that images and distant tokens show in every vector."""
    draw = Draw(np.random.default_rng([SEED, 129]))
    _tower(draw)
    draw.linear("model.connector.modality_projection.proj", SEEN * SCALE**2, HIDDEN, bias=False)
    table = draw.random.normal(0, 1, (vocab, HIDDEN))
    draw.weights["model.text_model.embed_tokens.weight"] = table.astype(np.float32)
    for number in range(LAYERS):
        layer = f"model.text_model.layers.{number}"
        draw.norm(f"{layer}.input_layernorm", HIDDEN, bias=False)
        draw.norm(f"{layer}.post_attention_layernorm", HIDDEN, bias=False)
        for name, outputs in (("q", HIDDEN), ("k", HIDDEN // HEADS), ("v", HIDDEN // HEADS), ("o", HIDDEN)):
            draw.linear(f"{layer}.self_attn.{name}_proj", HIDDEN, outputs, bias=False)
        draw.linear(f"{layer}.mlp.gate_proj", HIDDEN, INNER, bias=False)
        draw.linear(f"{layer}.mlp.up_proj", HIDDEN, INNER, bias=False)
        draw.linear(f"{layer}.mlp.down_proj", INNER, HIDDEN, bias=False)
    draw.norm("model.text_model.norm", HIDDEN, bias=False)
    draw.linear("linear", HIDDEN, DIMENSIONS)
    return draw.weights


def _tower(draw: Draw) -> None:
    tower = "model.vision_model"
    kernel = draw.random.normal(0, 1.4 / (3 * PATCH * PATCH) ** 0.5, (SEEN, 3, PATCH, PATCH))
    draw.weights[f"{tower}.embeddings.patch_embedding.weight"] = kernel.astype(np.float32)
    draw.weights[f"{tower}.embeddings.patch_embedding.bias"] = draw.random.normal(0, 0.2, SEEN).astype(
        np.float32
    )
    positions = draw.random.normal(0, 0.5, ((TILE // PATCH) ** 2, SEEN))
    draw.weights[f"{tower}.embeddings.position_embedding.weight"] = positions.astype(np.float32)
    for number in range(SEEN_LAYERS):
        layer = f"{tower}.encoder.layers.{number}"
        draw.norm(f"{layer}.layer_norm1", SEEN)
        draw.norm(f"{layer}.layer_norm2", SEEN)
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            draw.linear(f"{layer}.self_attn.{name}", SEEN, SEEN)
        draw.linear(f"{layer}.mlp.fc1", SEEN, SEEN_INNER)
        draw.linear(f"{layer}.mlp.fc2", SEEN_INNER, SEEN)
    draw.norm(f"{tower}.post_layernorm", SEEN)


def _named(weights: Weights, layout: str) -> Weights:
    if layout == "colpali":
        return weights
    found: Weights = {}
    for name, value in weights.items():
        for pattern, ours in NAMES:
            name = re.sub(pattern, ours, name)
        if value.ndim == 4:
            value = np.ascontiguousarray(value.transpose(0, 2, 3, 1))
        found[name] = value
    return found


if __name__ == "__main__":
    for each in LAYOUTS:
        print(make(Path(sys.argv[1]) / each, each))
