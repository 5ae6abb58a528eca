"""A checkpoint's weights, changed for a test."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from safetensors.numpy import load_file, save_file


@contextmanager
def changed_weights(folder: Path) -> Iterator[dict[str, np.ndarray]]:
    """A model's weights, written back afterwards."""
    file = folder / "model.safetensors"
    weights = load_file(file)
    yield weights
    save_file(weights, file, metadata={"format": "pt"})


def quantise(folder: Path, bits_of: Callable[[str, np.ndarray], int | None], **settings: Any) -> None:
    """Packs weights as MLX conversions do, in groups of 32, and says so in config.json.

    bits_of: of a weight's name and value; None leaves it as it is. settings: of layers that are not of 8 bits.
    """
    file = folder / "model.safetensors"
    weights: dict[str, np.ndarray] = load_file(file)
    for name, value in list(weights.items()):
        if bits := bits_of(name, value):
            parts = mx.quantize(mx.array(value), group_size=32, bits=bits)
            for end, part in zip(("weight", "scales", "biases"), parts, strict=True):
                weights[name.removesuffix("weight") + end] = np.array(part)
    save_file(weights, file)
    config = json.loads((folder / "config.json").read_text())
    config["quantization"] = {"group_size": 32, "bits": 8, **settings}
    (folder / "config.json").write_text(json.dumps(config))


def packable(name: str, value: np.ndarray) -> int | None:
    """8 bits for every matrix that can be cut into groups of 32, for `quantise`."""
    is_matrix = name.endswith("weight") and value.ndim == 2 and value.shape[0] > 1
    return 8 if is_matrix and value.shape[-1] % 32 == 0 else None
