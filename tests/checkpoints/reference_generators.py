"""Make tests/checkpoints/golden/pooled-*.npz with transformers: text generators' mean hidden states.

Run by hand, in an environment of its own (torch and transformers are no dependencies of mlxq):

    python -m tests.checkpoints.reference_generators FOLDER

FOLDER holds what `python -m tests.checkpoints.generators FOLDER` has written, which needs MLX and not torch. Each text
is computed alone, and so without padding.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
import transformers
from safetensors.numpy import load_file

from tests.checkpoints.generators import NAMES
from tests.checkpoints.texts import SMALL_TEXTS
from tests.checkpoints.versions import GOLDEN, write_versions

PACKAGES = ("torch", "transformers")
ONE_ADDED = re.compile(r"(_layernorm|model\.norm|[qk]_norm)\.weight$")
"""Norms of Qwen3-Next, whose weights are around zero in torch, and around one in MLX."""


def reference(folder: Path, texts: tuple[str, ...]) -> tuple[np.ndarray, list[int]]:
    """Vectors (texts, size), and each text's tokens."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    settings = transformers.AutoConfig.for_model(**config)
    settings._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(settings, dtype=torch.float32).eval()
    weights = {name: torch.tensor(value) for name, value in load_file(folder / "model.safetensors").items()}
    for name, value in weights.items():
        if name.endswith(("conv.weight", "conv1d.weight")):  # channels last in MLX
            weights[name] = value.transpose(1, 2).contiguous()
        elif config["model_type"] == "qwen3_next" and ONE_ADDED.search(name):
            weights[name] = value - 1
    missing, unknown = model.load_state_dict(weights, strict=False)
    assert not unknown and set(missing) <= {"lm_head.weight"}, (missing, unknown)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    vectors, tokens = list[np.ndarray](), list[int]()
    for text in texts:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            states = model.base_model(input_ids=ids).last_hidden_state[0]
        vectors.append(torch.nn.functional.normalize(states.mean(dim=0), dim=0).numpy())
        tokens.append(ids.shape[1])
    return np.stack(vectors), tokens


def main() -> None:
    for name in NAMES:
        vectors, tokens = reference(Path(sys.argv[1]) / name, SMALL_TEXTS)
        np.savez_compressed(
            GOLDEN / f"pooled-{name}.npz",
            allow_pickle=False,
            vectors=vectors.astype(np.float32),
            tokens=np.array(tokens, dtype=np.int32),
        )
        print(name, vectors.shape, tokens)
    write_versions("versions-pooled.json", PACKAGES)


if __name__ == "__main__":
    main()
