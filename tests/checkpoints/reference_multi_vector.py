"""Make tests/checkpoints/golden/col*.npz with colpali_engine: what ColQwen2.5's and ColIdefics3's vectors should be.

Run by hand, in an environment of its own (torch, torchvision, transformers and colpali_engine are no dependencies of
mlxq):

    python -m tests.checkpoints.reference_multi_vector

Each input is computed alone, and so without padding. Queries are written as the models were trained with, "Query: "
before and ten tokens after; colpali_engine 0.3.18 by itself leaves the words before them out. ColIdefics3's images
are scaled by Pillow, with the filter that its files name.
"""

import tempfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from colpali_engine.models import (  # pyright: ignore[reportMissingImports]
    ColIdefics3,
    ColIdefics3Processor,
    ColQwen2_5,
    ColQwen2_5_Processor,
)
from PIL import Image
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

from tests.checkpoints import colidefics, colqwen
from tests.checkpoints.colqwen import DOCUMENTS, QUERIES, png
from tests.checkpoints.versions import GOLDEN, write_versions

PACKAGES = ("torch", "torchvision", "transformers", "colpali_engine", "pillow")


def store(name: str, model: Any, processor: Any, pages: Sequence[int]) -> None:
    batches = [processor.process_queries(texts=[f"Query: {text}"]) for text in QUERIES]
    batches += [processor.process_texts(texts=[text]) for text in DOCUMENTS]
    batches += [processor.process_images([Image.open(BytesIO(png(number)))]) for number in pages]
    with torch.no_grad():
        found = [model.eval()(**batch)[0].numpy() for batch in batches]
    np.savez_compressed(
        GOLDEN / f"{name}.npz",
        allow_pickle=False,
        vectors=np.concatenate(found).astype(np.float16),
        counts=np.array([len(each) for each in found], dtype=np.int32),
        ids=np.concatenate([batch["input_ids"][0].numpy() for batch in batches]).astype(np.int32),
    )
    print(name, [len(each) for each in found])


def main() -> None:
    options = {"dtype": torch.float32, "attn_implementation": "eager"}
    with tempfile.TemporaryDirectory() as scratch:
        folder = str(colqwen.make(Path(scratch) / "colqwen2_5"))
        model = ColQwen2_5.from_pretrained(folder, **options)
        store(
            "colqwen2_5", model, ColQwen2_5_Processor.from_pretrained(folder), range(len(colqwen.IMAGE_SIZES))
        )

        folder = str(colidefics.make(Path(scratch) / "colidefics3"))
        processor = ColIdefics3Processor.from_pretrained(folder)
        processor.image_processor = Idefics3ImageProcessorPil.from_pretrained(folder)
        store("colidefics3", ColIdefics3.from_pretrained(folder, **options), processor, colidefics.IMAGES)
    write_versions("versions-late.json", PACKAGES)


if __name__ == "__main__":
    main()
