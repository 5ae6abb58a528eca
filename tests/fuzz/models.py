"""Small models for each task, under the names that the document's examples have."""

import json
import shutil
from pathlib import Path

from tests.checkpoints import colqwen, rerankers
from tests.support.stack import MODEL, ROOT

POSITIONS = 256
"""Of the generator: no answer is longer, whatever a request asks for."""

EMBEDDER, GENERATOR, RERANKER, PAGES = MODEL, "CHAT-MODEL", "RERANK-MODEL", "PAGE-MODEL"


def make_models(folder: Path) -> list[str]:
    """Writes them there; returns them as `--model` takes them."""
    generator = folder / "generator"
    shutil.copytree(ROOT / "examples" / "tiny_chat" / "model", generator)
    config = json.loads((generator / "config.json").read_text())
    (generator / "config.json").write_text(json.dumps({**config, "max_position_embeddings": POSITIONS}))
    reranker = rerankers.make("xlm-roberta", folder / "reranker")
    pages = colqwen.make(folder / "pages")
    return [EMBEDDER, f"{GENERATOR}={generator}", f"{RERANKER}={reranker}", f"{PAGES}={pages}"]
