"""Make tests/checkpoints/golden/qwen3-vl-embedding.npz with transformers and qwen_vl_utils: what the vectors should be.

Run by hand, in an environment of its own (torch, torchvision, transformers and qwen-vl-utils are no dependencies of
mlxq):

    python -m tests.checkpoints.reference_qwen3_vl

The steps are those of the code that is published with Qwen3-VL-Embedding (src/models/qwen3_vl_embedding.py of
https://github.com/QwenLM/Qwen3-VL-Embedding). Each input is computed alone, and so without padding.
"""

import tempfile
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
import transformers
from qwen_vl_utils.vision_process import process_vision_info  # pyright: ignore[reportMissingImports]

from tests.checkpoints.qwen3_vl import ASKED, PATCH, Asked, content_of, make
from tests.checkpoints.versions import GOLDEN, write_versions

PACKAGES = ("torch", "torchvision", "transformers", "qwen-vl-utils", "pillow")

"""What is published allows 1800 blocks; the small model's files ask for fewer."""


class Reference:
    def __init__(self, folder: Path) -> None:
        options = {"dtype": torch.float32, "attn_implementation": "eager"}
        self.processor: Any = transformers.Qwen3VLProcessor.from_pretrained(folder)
        self.model: Any = transformers.Qwen3VLModel.from_pretrained(folder, **options).eval()

    def vector(self, asked: Asked) -> tuple[np.ndarray, np.ndarray]:
        """And the tokens that were read."""
        conversation = _conversation(*asked)
        text = self.processor.apply_chat_template([conversation], add_generation_prompt=True, tokenize=False)
        images, _ = process_vision_info([conversation], image_patch_size=PATCH)
        inputs = self.processor(text=text, images=images, do_resize=False, return_tensors="pt")
        with torch.no_grad():
            last = self.model(**inputs).last_hidden_state[0, -1]
        return torch.nn.functional.normalize(last, dim=-1).numpy(), inputs["input_ids"][0].numpy()


def _conversation(instruction: str | None, parts: tuple[str | int, ...]) -> list[dict[str, Any]]:
    told = (instruction or "").strip()
    if told and not unicodedata.category(told[-1]).startswith("P"):
        told += "."
    content = [content_of(part) for part in parts if part != ""] or [{"type": "text", "text": "NULL"}]
    return [
        {"role": "system", "content": [{"type": "text", "text": told or "Represent the user's input."}]},
        {"role": "user", "content": content},
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        reference = Reference(make(Path(scratch) / "qwen3-vl-embedding"))
        found = [reference.vector(asked) for asked in ASKED]
    np.savez_compressed(
        GOLDEN / "qwen3-vl-embedding.npz",
        allow_pickle=False,
        vectors=np.stack([vector for vector, _ in found]).astype(np.float32),
        counts=np.array([len(ids) for _, ids in found], dtype=np.int32),
        ids=np.concatenate([ids for _, ids in found]).astype(np.int32),
    )
    write_versions("versions-qwen3-vl.json", PACKAGES)
    print([len(ids) for _, ids in found])


if __name__ == "__main__":
    main()
