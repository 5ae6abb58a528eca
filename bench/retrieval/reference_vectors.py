"""Vectors of sentence-transformers for what texts.py has written. Run where that is installed; nothing of ours is."""

import json
import sys
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer  # pyright: ignore[reportMissingImports]

if __name__ == "__main__":
    folder, texts, vectors = sys.argv[1:]
    found = json.loads(Path(texts).read_text())
    model = SentenceTransformer(folder, device="cpu")
    encoded = {
        name: model.encode([each["text"] for each in found[name]], normalize_embeddings=True)
        for name in ("chunks", "queries")
    }
    np.savez(vectors, **encoded)
