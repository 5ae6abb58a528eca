"""nDCG@5 of `mlxq eval` beside numpy over vectors of sentence-transformers: equal to three digits, or status 1."""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.retrieval.texts import Exported

DEPTH = 5


def ndcg(pages: list[str], right: list[str]) -> float:
    """pages: best first, each once."""
    gain = sum(1 / np.log2(rank + 2) for rank, page in enumerate(pages[:DEPTH]) if page in right)
    return float(gain / sum(1 / np.log2(rank + 2) for rank in range(min(DEPTH, len(right)))))


def numpy_ndcg(found: Exported, chunks: np.ndarray[Any, Any], queries: np.ndarray[Any, Any]) -> float:
    """The mean over all queries; a page is as good as its best chunk."""
    scores = queries @ chunks.T
    values = list[float]()
    for own, query in zip(scores, found.queries, strict=True):
        pages = list(dict.fromkeys(found.chunks[at].page for at in np.argsort(-own)))
        values.append(ndcg(pages, query.pages))
    return float(np.mean(values))


def main(texts: Path, vectors: Path, evaluated: Path) -> int:
    found = msgspec.json.decode(texts.read_bytes(), type=Exported)
    arrays = np.load(vectors)
    reference = numpy_ndcg(found, arrays["chunks"], arrays["queries"])
    results = {each["mode"]: each["measures"] for each in json.loads(evaluated.read_text())["results"]}
    ours, hybrid = results["text"]["ndcg_at_5"], results["hybrid"]["ndcg_at_5"]
    print(f"{len(found.chunks):,} chunks, {len(found.queries)} queries from bookmarks; nDCG@5:")
    print(f"  sentence-transformers and numpy  {reference:.4f}")
    print(f"  mlxq, text                       {ours:.4f}")
    print(f"  mlxq, hybrid                     {hybrid:.4f}")
    return 0 if abs(reference - ours) < 0.0005 and hybrid > ours else 1


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
