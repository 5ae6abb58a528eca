"""Conversions in which layers have settings of their own, against the same weights taken out of their packing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jobs.content import ImagePart, MixedInput
from jobs.embed import EmbedJob
from tests.checkpoints import colidefics, colqwen, lfm2_colbert
from tests.support import parity
from tests.support.parity import least_cosine, outcomes
from workers.runners.multi_vector.runner import MultiVectorRunner

PROJECTIONS = ("custom_text_proj", "embedding_proj_layer", "linear", "dense")
VISION_PARTS = ("visual.", "vision_model.", "vision_tower.", "connector.")

GROUP = 32

TEXTS = [EmbedJob("m", colqwen.QUERIES), EmbedJob("m", colqwen.DOCUMENTS, input_type="document")]
IMAGE = EmbedJob("m", (MixedInput((ImagePart(colqwen.png(3)),)),))

CASES = [
    *((colqwen.make, layout) for layout in colqwen.LAYOUTS),
    *((colidefics.make, layout) for layout in colidefics.LAYOUTS),
    *(
        (lambda folder, layout: lfm2_colbert.make(folder, "lfm2", layout), layout)
        for layout in ("mlx", "mlx-vlm")
    ),
]


@pytest.mark.parametrize("projection_bits", [None, 8])
@pytest.mark.parametrize(("make", "layout"), CASES)
def test_layers_with_settings_of_their_own_are_read_with_them(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path, str], Path],
    layout: str,
    projection_bits: int | None,
):
    for size in ("HIDDEN", "INNER"):  # whole groups
        monkeypatch.setattr(colidefics, size, 96)

    def bits_of(layer: str) -> int | None:
        if layer.endswith(PROJECTIONS):
            return projection_bits
        return 8 if layer.endswith("embed_tokens") else 4

    packed, unpacked = make(tmp_path / "packed", layout), make(tmp_path / "unpacked", layout)
    _quantise(packed, unpacked, bits_of)
    runners = [parity.opened(folder, MultiVectorRunner) for folder in (packed, unpacked)]
    assert runners[0].weight_bytes < runners[1].weight_bytes
    jobs = [*TEXTS, IMAGE] if "vision" in runners[0].info.abilities else TEXTS
    found, expected = (outcomes(runner, parity.prepared(runner, jobs, object)) for runner in runners)
    for ours, theirs in zip(found, expected, strict=True):
        assert least_cosine(ours, theirs) >= 0.9999


def _quantise(packed: Path, unpacked: Path, bits_of: Callable[[str], int | None]) -> None:
    """Pack the one folder's layers, all but those that see, and give the other what the packing left of them.

    What is not of 4 bits gets settings of its own, as mlx_lm.convert writes them.
    """
    weights: dict[str, Any] = load_file(packed / "model.safetensors")
    rounded = dict(weights)
    settings: dict[str, Any] = {"group_size": GROUP, "bits": 4}
    for name, value in list(weights.items()):
        layer = name.removesuffix(".weight")
        bits = bits_of(layer)
        if layer == name or value.ndim != 2 or any(part in name for part in VISION_PARTS):
            continue
        if bits != 4:
            settings[layer] = bool(bits) and {"group_size": GROUP, "bits": bits}
        if bits:
            parts = mx.quantize(mx.array(value), group_size=GROUP, bits=bits)
            rounded[name] = np.array(mx.dequantize(*parts, group_size=GROUP, bits=bits))
            for end, part in zip(("weight", "scales", "biases"), parts, strict=True):
                weights[f"{layer}.{end}"] = np.array(part)
    save_file(weights, packed / "model.safetensors")
    save_file(rounded, unpacked / "model.safetensors")
    config = json.loads((packed / "config.json").read_text())
    (packed / "config.json").write_text(json.dumps({**config, "quantization": settings}))
