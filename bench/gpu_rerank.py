"""For a machine with a GPU: documents reranked by the shape of Qwen3-Reranker-0.6B in bf16, random weights.

Ceiling: a hundred pairs at a time, in process, as bench.rerank has it.
"""

import tempfile
from pathlib import Path

from bench.report import Row, median
from bench.rerank import Case, ceiling, load
from bench.stack import api, output_of, process, python, redis_server

DOCUMENTS = 4_000
WARM_UP = 2_000
"""Pairs, so that every shape is planned once."""
CASES = (Case(1, 100), Case(10, 10), Case(8, 100))


async def measure(repeats: int) -> list[Row]:
    ceilings: list[float] = []
    served: dict[Case, list[float]] = {case: [] for case in CASES}
    with tempfile.TemporaryDirectory(prefix="mlxq-bench-") as scratch:
        folder = Path(scratch) / "Qwen3-Reranker-0.6B-shape"
        script = (
            f"from pathlib import Path; from bench.checkpoint import *; write_reranker(Path({str(folder)!r}))"
        )
        await output_of("-c", script)
        for _ in range(repeats):
            ceilings.append(await ceiling(folder))
            with redis_server() as url:
                worker = process(*python("-m", "cli.main", "worker", "--model", str(folder)), REDIS_URL=url)
                async with worker, api(url) as port:
                    for case in CASES:
                        served[case].append(await load(port, folder.name, case, DOCUMENTS, WARM_UP))
    rows = [Row("in process, perfect batches", {"pairs/s": median(ceilings)})]
    for case, rates in served.items():
        parts = [rate / top for rate, top in zip(rates, ceilings, strict=True)]
        figures = {"pairs/s": median(rates), "of the ceiling": median(parts)}
        rows.append(Row(f"served, {case.name}", figures))
    return rows
