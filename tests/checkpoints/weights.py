"""A checkpoint's weights, changed for a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file


@contextmanager
def changed_weights(folder: Path) -> Iterator[dict[str, np.ndarray]]:
    """A model's weights, written back afterwards."""
    file = folder / "model.safetensors"
    weights = load_file(file)
    yield weights
    save_file(weights, file, metadata={"format": "pt"})
