"""For a machine with a GPU: documents reranked by the shape of Qwen3-Reranker-0.6B in bf16, random weights.

The ceiling is bench.embed.rerank's: a hundred pairs at a time, in process.
"""

import tempfile
from pathlib import Path

from bench.embed.rerank import Case, rows, take_turns, write
from bench.report import Row

DOCUMENTS = 4_000
WARM_UP = 2_000
"""Pairs, so that every shape is planned once."""
CASES = (Case(1, 100), Case(10, 10), Case(8, 100))


async def measure(repeats: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="mlxq-bench-") as scratch:
        folder = Path(scratch) / "Qwen3-Reranker-0.6B-shape"
        await write(folder, "write_reranker")
        return rows(await take_turns(folder, CASES, DOCUMENTS, repeats, WARM_UP))
