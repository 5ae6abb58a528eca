"""An embedding model's folder as an encoder and the dense layers after it."""

from pathlib import Path
from typing import Any

from jobs.errors import InvalidInput
from workers.runners.checkpoint.architecture import library_config
from workers.runners.checkpoint.folder import read_json
from workers.runners.checkpoint.weights import fill, read_weights, without_buffers
from workers.runners.layers.text_encoders import Encoder, build_encoder
from workers.runners.layers.vectors import Dense

ACTIVATIONS = {"torch.nn.modules.linear.Identity": False, "torch.nn.modules.activation.Tanh": True}


def load_encoder(folder: Path, config: dict[str, Any]) -> Encoder:
    """The encoder, every one of its weights accounted for; they are read when first used. Raises InvalidInput."""
    weights = read_weights(folder)
    model = build_encoder(library_config(config), list(weights))
    return fill(model, without_buffers(model.sanitize(weights)), folder, config.get("quantization"))


def load_dense(folder: Path) -> Dense:
    """A sentence-transformers Dense module's folder. Raises InvalidInput."""
    config = read_json(folder / "config.json")
    activation = config.get("activation_function") or "torch.nn.modules.linear.Identity"
    if activation not in ACTIVATIONS or config.get("use_residual"):
        raise InvalidInput(f"{folder}: a Dense module with {activation} is not supported.", param="model")
    layer = Dense(
        config["in_features"], config["out_features"], config.get("bias", True), ACTIVATIONS[activation]
    )
    return fill(layer, read_weights(folder), folder)
