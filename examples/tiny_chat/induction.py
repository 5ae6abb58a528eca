"""Weights to start from, in which a pair of heads copies already.

Tiny-chat must repeat names that it never saw. Attention learns that by itself, as an induction head (Olsson et al.
2022, "In-context Learning and Induction Heads"), but only after thousands of steps. Here it is put in: a head of the
first layer looks at the previous token and notes it; a head of the second looks for the place whose note is the current
token, and copies what stands there. Training keeps and refines this.
"""

import mlx.core as mx
import numpy as np
from mlx_lm.models.qwen3 import Model, ModelArgs

FAST = 5  # so many rotary frequencies turn too fast to compare contents over a distance
CONSTANT = 0.35  # what every embedding has in its first place, for heads that look at places only
SHARPNESS = 2.0


def put_in(model: Model, args: ModelArgs, seed: int) -> None:
    """Change the first two layers' first heads of `model`, and the embeddings' first column."""
    random = np.random.default_rng(seed)
    size, width = args.head_dim, args.hidden_size
    assert args.rope_theta is not None
    frequencies = args.rope_theta ** -(np.arange(size // 2) / (size // 2))
    read, note, copy = (_orthonormal(random, size, width) for _ in range(3))

    _set(
        model.model.embed_tokens, "weight", slice(None), slice(0, 1), np.full((args.vocab_size, 1), CONSTANT)
    )
    looks, marks = (np.zeros((size, width)) for _ in range(2))
    looks[:FAST, 0] = 1
    marks[:FAST, 0], marks[size // 2 : size // 2 + FAST, 0] = (
        np.cos(frequencies[:FAST]),
        np.sin(frequencies[:FAST]),
    )
    _head(model, 0, query=looks, key=marks, value=read, output=note.T)

    slow = (np.arange(size) % (size // 2) >= FAST)[:, None]
    _head(model, 1, query=slow * read, key=slow * note, value=copy, output=copy.T)
    for layer in model.layers[:2]:
        for norm in (layer.self_attn.q_norm, layer.self_attn.k_norm):
            norm.weight = SHARPNESS * norm.weight


def _orthonormal(random: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """[rows, columns], of which no row reads the first place."""
    square = np.linalg.qr(random.normal(size=(columns - 1, rows)))[0].T
    return np.concatenate([np.zeros((rows, 1)), square], axis=1)


def _head(model: Model, layer: int, **parts: np.ndarray) -> None:
    """Set the first head of a layer, and its keys and values."""
    attention, size = model.layers[layer].self_attn, parts["query"].shape[0]
    _set(attention.q_proj, "weight", slice(0, size), slice(None), parts["query"])
    _set(attention.k_proj, "weight", slice(0, size), slice(None), parts["key"])
    _set(attention.v_proj, "weight", slice(0, size), slice(None), parts["value"])
    _set(attention.o_proj, "weight", slice(None), slice(0, size), parts["output"])


def _set(module: object, name: str, rows: slice, columns: slice, value: np.ndarray) -> None:
    weight = np.array(getattr(module, name))
    weight[rows, columns] = value
    setattr(module, name, mx.array(weight))
