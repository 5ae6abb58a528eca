"""What the files of vision-language models have in common, whoever wrote them."""

from pathlib import Path
from typing import Any

import mlx.core as mx

from workers.runners.checkpoint.folder import read_json
from workers.runners.vision.normalisation import Normalisation


def processor_of(folder: Path) -> dict[str, Any]:
    """What the image processor needs; newer transformers write it into the processor's file."""
    own = read_json(folder / "preprocessor_config.json")
    return {**own, **(read_json(folder / "processor_config.json").get("image_processor") or {})}


def normalisation_of(
    processor: dict[str, Any], mean: tuple[float, ...], std: tuple[float, ...]
) -> Normalisation:
    """The processor's. mean, std: where it names none."""
    return Normalisation(tuple(processor.get("image_mean") or mean), tuple(processor.get("image_std") or std))


def put_channels_last(weights: dict[str, mx.array], name: str, channels: int) -> None:
    """A kernel of frames as MLX wants it, where it is there as torch has it."""
    kernel = weights.get(name)
    if kernel is not None and kernel.ndim == 5 and kernel.shape[-1] != channels:
        weights[name] = kernel.transpose(0, 2, 3, 4, 1)
