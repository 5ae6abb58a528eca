"""Make tests/checkpoints/golden/seeing-*.npz with transformers: vision-language models' mean hidden states.

Run by hand, in an environment of its own (torch, torchvision and transformers are no dependencies of mlxq):

    python -m tests.checkpoints.reference_vision_generators FOLDER

FOLDER holds what `python -m tests.checkpoints.vision FOLDER` has written, which needs MLX and not torch. Each text and
page is computed alone. Images are scaled by Pillow, as they are where torch is not there.
"""

import importlib
import json
import re
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
import transformers
from PIL import Image
from safetensors.numpy import load_file

from tests.checkpoints.colqwen import png
from tests.checkpoints.versions import GOLDEN, write_versions
from tests.checkpoints.vision_inputs import FRAMES, VISION_INPUTS

PACKAGES = ("torch", "torchvision", "transformers", "pillow")

NAMES = (
    (re.compile(r"^language_model\.lm_head\."), "lm_head."),
    (re.compile(r"^language_model\.model\."), "model.language_model."),
    (re.compile(r"^language_model\."), "model.text_model."),
    (re.compile(r"^(?=vision_model|connector)"), "model."),
    (re.compile(r"^vision_tower\.(?=blocks|merger|patch_embed|pos_embed|deepstack)"), "model.visual."),
    (re.compile(r"^vision_tower\."), "model.vision_tower."),
    (re.compile(r"^multi_modal_projector\."), "model.multi_modal_projector."),
)

PILLOW = {
    "qwen2_5_vl": ("qwen2_vl", "Qwen2VLImageProcessorPil"),
    "qwen3_vl": ("qwen2_vl", "Qwen2VLImageProcessorPil"),
    "qwen3_5": ("qwen2_vl", "Qwen2VLImageProcessorPil"),
    "gemma3": ("gemma3", "Gemma3ImageProcessorPil"),
    "smolvlm": ("smolvlm", "SmolVLMImageProcessorPil"),
}
"""Families that are made, and what scales images for them."""
ONE_ADDED = re.compile(r"language_model.*(_layernorm|\.norm|[qk]_norm)\.weight$")
"""Norms of Qwen3.5, whose weights are around zero in torch, and around one in MLX."""


def opened(folder: Path) -> tuple[Any, Any]:
    """The model, and its processor."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    settings: Any = transformers.AutoConfig.from_pretrained(folder)
    settings.tie_word_embeddings = False
    if config["model_type"] == "gemma3":  # its folder has settings where mlx-vlm looks, and leaves one to it
        settings.mm_tokens_per_image = 4
        settings.text_config.rope_parameters["full_attention"]["rope_theta"] = 1e6
    model = transformers.AutoModelForImageTextToText.from_config(
        settings, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    weights: dict[str, Any] = {}
    for name, value in load_file(folder / "model.safetensors").items():
        for pattern, theirs in NAMES:
            name, hits = pattern.subn(theirs, name)
            if hits:
                break
        if config["model_type"] == "qwen3_5" and ONE_ADDED.search(name) and "linear_attn" not in name:
            value = value - 1
        kernel = value.ndim > 2  # channels last in MLX
        weights[name] = torch.tensor(np.ascontiguousarray(np.moveaxis(value, -1, 1)) if kernel else value)
    known = set(model.state_dict())
    weights = {
        name if name in known else name.replace("vision_tower.vision_model.", "vision_tower."): value
        for name, value in weights.items()
    }
    missing, unknown = model.load_state_dict(weights, strict=False)
    unused = [name for name in missing if ".head." not in name]  # SigLIP's, which Gemma does not ask
    assert not unknown and not unused, (unused, unknown)
    processor = transformers.AutoProcessor.from_pretrained(folder)
    family, kind = PILLOW[config["model_type"]]
    module = importlib.import_module(f"transformers.models.{family}.image_processing_pil_{family}")
    half = [
        0.5,
        0.5,
        0.5,
    ]  # the folders of Qwen here name no colours, and libraries differ in what that means
    processor.image_processor = getattr(module, kind).from_pretrained(folder, image_mean=half, image_std=half)
    return model, processor


def reference(name: str, folder: Path) -> tuple[np.ndarray, list[int]]:
    """Vectors (inputs, size), and each input's tokens."""
    model, processor = opened(folder)
    vectors, tokens = list[np.ndarray](), list[int]()
    for parts in VISION_INPUTS:
        text = "".join(part if isinstance(part, str) else FRAMES[name] for part in parts)
        images = [Image.open(BytesIO(png(part))) for part in parts if isinstance(part, int)]
        inputs = processor(text=[text], images=images or None, return_tensors="pt")
        with torch.no_grad():
            states = model.model(**inputs).last_hidden_state[0]
        vectors.append(torch.nn.functional.normalize(states.mean(dim=0), dim=0).numpy())
        tokens.append(len(states))
    return np.stack(vectors), tokens


def main() -> None:
    for name in PILLOW:
        vectors, tokens = reference(name, Path(sys.argv[1]) / name)
        np.savez_compressed(
            GOLDEN / f"seeing-{name}.npz",
            allow_pickle=False,
            vectors=vectors.astype(np.float32),
            tokens=np.array(tokens, dtype=np.int32),
        )
        print(name, vectors.shape, tokens)
    write_versions("versions-with_vision.json", PACKAGES)


if __name__ == "__main__":
    main()
