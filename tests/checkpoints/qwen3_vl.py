"""A small random Qwen3-VL, laid out as Qwen3-VL-Embedding and Qwen3-VL-Reranker are, and what tests have it read. NumPy
and Pillow.

python -m tests.checkpoints.qwen3_vl FOLDER writes it in all layouts.
"""

import re
import sys
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from tests.checkpoints import vocabularies
from tests.checkpoints.make import SEED, Draw, Weights, write_json
from tests.support.images import painted

LAYOUTS = ("transformers", "bare", "mlx")
"""transformers: as the models are published. bare: a body saved without its head. mlx: as mlx-vlm converts them."""

TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"]
TOKENS += ["<|vision_pad|>", "<|image_pad|>", "<|video_pad|>", "<think>", "</think>"]

HIDDEN, INNER, LAYERS, HEADS, KEY_HEADS, HEAD = 128, 160, 4, 4, 2, 24
SEEN, SEEN_INNER, BLOCKS, SEEN_HEADS, PATCH = 32, 48, 4, 2, 16
PLACES = 6
"""Learned positions of a side."""
DEEP = (0, 2)
MAX_BLOCKS = 40
POSITIONS = 512

IMAGE_SIZES = ((256, 160), (100, 310), (330, 200), (64, 64), (20, 33), (417, 90), (12, 640))
"""Width and height in pixels: whole blocks, tall, too large, square, too small, wide, less than half a block wide."""

INSTRUCTION = "Find songs of the sea"
Asked = tuple[str | None, tuple[str | int, ...]]
ASKED: tuple[Asked, ...] = (
    (None, ("red fox",)),
    (None, ("",)),
    (None, ("\n  the quick red fox jumps over a slow dog? ",)),
    (None, ("snow follows rain, and the sea carries the wind to the farmer's garden. " * 2,)),
    (INSTRUCTION, ("red fox",)),
    ("  Find songs of the sea! ", ("red fox",)),
    *((None, (number,)) for number in range(len(IMAGE_SIZES))),
    (None, (0, "red fox")),
    (INSTRUCTION, (1, "the old sailor writes a letter")),
    (None, ("the king", 3, " sleeps\n", 5, "at night")),
    ("Find: ", (4, 1)),
    (None, ("the king", " sleeps")),
)
"""Inputs of an embedding: the instruction, and texts and numbers of IMAGE_SIZES in their order."""

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part.type == 'text' %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Qwen3-VL's own, as far as texts and images go."""


class Names(NamedTuple):
    """What a layout calls the parts."""

    visual: str
    language: str
    head: str


NAMES = {
    "transformers": Names("model.visual.", "model.language_model.", "lm_head."),
    "bare": Names("visual.", "language_model.", "lm_head."),
    "mlx": Names("vision_tower.", "language_model.model.", "language_model.lm_head."),
}


def make(folder: Path, layout: str = "transformers", *, tied: bool = True) -> Path:
    """Write the model into `folder`, which is made. Its weights are the same in each of LAYOUTS.

    tied: whether the table of embeddings is the head, too, as in the models of 2 billion parameters.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = vocabularies.byte_bpe(TOKENS, [], [], bare=("yes", "no"))
    vocab = tokenizer.get_vocab_size() + 3
    ids = {name: tokenizer.token_to_id(name) for name in TOKENS}
    write_json(folder / "config.json", _config(layout, vocab, ids, tied=tied))
    weights = _named(_weights(vocab, tied=tied), layout)
    save_file(weights, folder / "model.safetensors", metadata={"format": "mlx" if layout == "mlx" else "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "pad_token": "<|endoftext|>",
            "model_max_length": 262144,
        },
    )
    write_json(folder / "chat_template.json", {"chat_template": TEMPLATE})
    processor = {
        "size": {"longest_edge": (2 * PATCH) ** 2 * MAX_BLOCKS, "shortest_edge": 65536},
        "patch_size": PATCH,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "processor_class": "Qwen3VLProcessor",
    }
    images = {"image_processor_type": "Qwen2VLImageProcessorFast"}
    videos = {"video_processor_type": "Qwen3VLVideoProcessor"}
    write_json(folder / "preprocessor_config.json", {**processor, **images})
    write_json(folder / "video_preprocessor_config.json", {**processor, **videos})
    return folder


def png(number: int) -> bytes:
    """A PNG of the size IMAGE_SIZES[number]."""
    return painted(*IMAGE_SIZES[number], [SEED, 228, number])


def content_of(part: str | int) -> dict[str, Any]:
    """A text, or the image of a number, as published code takes it in a message."""
    if isinstance(part, str):
        return {"type": "text", "text": part}
    block = (2 * PATCH) ** 2
    image = Image.open(BytesIO(png(part)))
    return {"type": "image", "image": image, "min_pixels": 4 * block, "max_pixels": MAX_BLOCKS * block}


def _config(layout: str, vocab: int, ids: dict[str, int | None], *, tied: bool) -> dict[str, Any]:
    rope = {"mrope_section": [4, 4, 4], "mrope_interleaved": True, "rope_type": "default"}
    text: dict[str, Any] = {
        "model_type": "qwen3_vl_text",
        "attention_bias": False,
        "head_dim": HEAD,
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-06,
        "max_position_embeddings": POSITIONS,
        "vocab_size": vocab,
    }
    # transformers 4, and so what is published, had the base beside the scaling
    if layout == "transformers":
        text |= {"rope_scaling": rope, "rope_theta": 10000.0}
    else:
        text |= {"rope_parameters": {**rope, "rope_theta": 10000.0}}
    return {
        "architectures": ["Qwen3VLModel" if layout == "bare" else "Qwen3VLForConditionalGeneration"],
        "model_type": "qwen3_vl",
        "dtype": "float32",
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "tie_word_embeddings": tied,
        "text_config": text,
        "vision_config": {
            "model_type": "qwen3_vl",
            "deepstack_visual_indexes": list(DEEP),
            "depth": BLOCKS,
            "hidden_act": "gelu_pytorch_tanh",
            "hidden_size": SEEN,
            "in_channels": 3,
            "intermediate_size": SEEN_INNER,
            "num_heads": SEEN_HEADS,
            "num_position_embeddings": PLACES**2,
            "out_hidden_size": HIDDEN,
            "patch_size": PATCH,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
    }


def _weights(vocab: int, *, tied: bool) -> Weights:
    """With the published names. Large enough that images, places and distant tokens show in every vector."""
    draw = Draw(np.random.default_rng([SEED, 227]))
    _tower(draw)
    table = draw.random.normal(0, 1, (vocab, HIDDEN))
    draw.weights["model.language_model.embed_tokens.weight"] = table.astype(np.float32)
    for number in range(LAYERS):
        layer = f"model.language_model.layers.{number}"
        draw.norm(f"{layer}.input_layernorm", HIDDEN, bias=False)
        draw.linear(f"{layer}.self_attn.q_proj", HIDDEN, HEAD * HEADS, bias=False)
        for name in ("k_proj", "v_proj"):
            draw.linear(f"{layer}.self_attn.{name}", HIDDEN, HEAD * KEY_HEADS, bias=False)
        draw.linear(f"{layer}.self_attn.o_proj", HEAD * HEADS, HIDDEN, bias=False)
        draw.norm(f"{layer}.self_attn.q_norm", HEAD, bias=False, around=1.5)
        draw.norm(f"{layer}.self_attn.k_norm", HEAD, bias=False, around=1.5)
        draw.norm(f"{layer}.post_attention_layernorm", HIDDEN, bias=False)
        draw.linear(f"{layer}.mlp.gate_proj", HIDDEN, INNER, bias=False)
        draw.linear(f"{layer}.mlp.up_proj", HIDDEN, INNER, bias=False)
        draw.linear(f"{layer}.mlp.down_proj", INNER, HIDDEN, bias=False)
    draw.norm("model.language_model.norm", HIDDEN, bias=False)
    if not tied:
        draw.linear("lm_head", HIDDEN, vocab, bias=False)
    return draw.weights


def _tower(draw: Draw) -> None:
    kernel = draw.random.normal(0, 1.4 / (3 * PATCH * PATCH) ** 0.5, (SEEN, 3, 2, PATCH, PATCH))
    draw.weights["model.visual.patch_embed.proj.weight"] = kernel.astype(np.float32)
    draw.weights["model.visual.patch_embed.proj.bias"] = draw.random.normal(0, 0.2, SEEN).astype(np.float32)
    places = draw.random.normal(0, 1, (PLACES**2, SEEN))
    draw.weights["model.visual.pos_embed.weight"] = places.astype(np.float32)
    for number in range(BLOCKS):
        block = f"model.visual.blocks.{number}"
        draw.norm(f"{block}.norm1", SEEN)
        draw.norm(f"{block}.norm2", SEEN)
        draw.linear(f"{block}.attn.qkv", SEEN, 3 * SEEN)
        draw.linear(f"{block}.attn.proj", SEEN, SEEN)
        draw.linear(f"{block}.mlp.linear_fc1", SEEN, SEEN_INNER)
        draw.linear(f"{block}.mlp.linear_fc2", SEEN_INNER, SEEN)
    _merger(draw, "model.visual.merger", SEEN)
    for number in range(len(DEEP)):
        _merger(draw, f"model.visual.deepstack_merger_list.{number}", 4 * SEEN)


def _merger(draw: Draw, name: str, normed: int) -> None:
    draw.norm(f"{name}.norm", normed)
    draw.linear(f"{name}.linear_fc1", 4 * SEEN, 4 * SEEN)
    draw.linear(f"{name}.linear_fc2", 4 * SEEN, HIDDEN)


def _named(weights: Weights, layout: str) -> Weights:
    found: Weights = {}
    for name, value in weights.items():
        for published, theirs in zip(NAMES["transformers"], NAMES[layout], strict=True):
            name, hits = re.subn(f"^{re.escape(published)}", theirs, name)
            if hits:
                break
        if layout == "mlx" and value.ndim == 5:
            value = np.ascontiguousarray(value.transpose(0, 2, 3, 4, 1))
        found[name] = value
    return found


if __name__ == "__main__":
    for each in LAYOUTS:
        print(make(Path(sys.argv[1]) / each, each))
