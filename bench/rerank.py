"""Documents reranked over HTTP, against the same model called in process.

`python -m bench.rerank FOLDER` is the ceiling: a hundred pairs at a time, as the server gets them, tokenised, sorted by
length, in perfect batches. Prints JSON: pairs/s in batches, pairs/s one by one.
"""

import importlib.util
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from bench.ceiling import cut, run
from bench.client import load_from_processes
from bench.corpus import CORPORA
from bench.report import Row, median
from bench.stack import api, free_port, output_of, peer, process, python, redis_server, until_answers
from jobs.rerank import RerankJob
from jobs.settings import Settings
from workers.limits import batch_limits, device_is_gpu
from workers.models import open_reranker, resolve
from workers.runners.base import loaded

DOCUMENTS = 800
AT_ONCE = 100
SINGLE = 40


class Case(NamedTuple):
    """So many requests at once, each of so many documents."""

    at_once: int
    documents: int

    @property
    def name(self) -> str:
        return f"{self.at_once} at once of {self.documents} documents"


CASES = (Case(1, 100), Case(10, 10))
PEER_DOCUMENTS = 200


async def measure(repeats: int) -> list[Row]:
    ceilings: list[float] = []
    served: dict[Case, list[tuple[float, float]]] = {case: [] for case in CASES}
    peers: dict[Case, list[float]] = {case: [] for case in CASES}
    with tempfile.TemporaryDirectory(prefix="mlxq-bench-") as scratch:
        folder = Path(scratch) / "minilm-cross-encoder"
        await _write(folder)
        for _ in range(repeats):
            before = await ceiling(folder)
            rates = await _serve(folder)
            top = (before + await ceiling(folder)) / 2  # the machine's speed drifts: each run has its own
            ceilings.append(top)
            for case, rate in rates.items():
                served[case].append((rate, rate / top))
            for case, rate in (await _serve_by_mlx_vlm(folder)).items():
                peers[case].append(rate)
    rows = [Row("in process, perfect batches", {"pairs/s": median(ceilings)})]
    for case, runs in served.items():
        figures = {
            "pairs/s": median([rate for rate, _ in runs]),
            "of the ceiling": median([part for _, part in runs]),
        }
        if peers[case]:
            figures["mlx_vlm.server pairs/s"] = median(peers[case])
        rows.append(Row(f"served, {case.name}", figures))
    return rows


async def _write(folder: Path) -> None:
    script = f"from pathlib import Path; from bench.checkpoint import *; write_cross_encoder(Path({str(folder)!r}))"
    await output_of("-c", script)


async def ceiling(folder: Path) -> float:
    """Pairs per second in process; on a CPU one at a time may be as fast as any batch."""
    return max(json.loads(await output_of("-m", "bench.rerank", str(folder))).values())


def jobs(model: str, documents: int, total: int) -> list[RerankJob]:
    """A query of its own for each so many documents."""
    texts = CORPORA["mixed"].texts(total)
    queries = CORPORA["mixed"].texts(total // documents, seed=12)
    return [
        RerankJob(
            model=model,
            query=" ".join(query.split()[:9]),
            documents=tuple(texts[n * documents : (n + 1) * documents]),
        )
        for n, query in enumerate(queries)
    ]


async def _serve(folder: Path) -> dict[Case, float]:
    with redis_server() as url:
        worker = process(*python("-m", "cli.main", "worker", "--model", str(folder)), REDIS_URL=url)
        async with worker, api(url) as port:
            return {case: await load(port, folder.name, case, DOCUMENTS) for case in CASES}


async def _serve_by_mlx_vlm(folder: Path) -> dict[Case, float]:
    """The same through mlx_vlm.server; nothing where it is not installed."""
    if importlib.util.find_spec("mlx_vlm.server") is None:
        return {}
    port = free_port()
    async with peer("mlx_vlm.server", "--port", str(port), "--reranker-model", str(folder)):
        await until_answers(f"http://127.0.0.1:{port}/v1/models")
        return {case: await load(port, str(folder), case, PEER_DOCUMENTS) for case in CASES}


async def load(port: int, model: str, case: Case, total: int, warm_up: int = 0) -> float:
    """Pairs per second, once the first requests have been answered. warm_up: of these, so many at least."""
    bodies = [
        json.dumps({"model": model, "query": job.query, "documents": job.documents}).encode()
        for job in jobs(model, case.documents, total)
    ]
    first = max(case.at_once, warm_up // case.documents)
    for requests, count in ((bodies[:first], first), (bodies, len(bodies))):
        done = await load_from_processes(
            port, requests, connections=case.at_once, total=count, path="/v1/rerank"
        )
        assert done.errors == 0, f"{done.errors} requests failed"
    return total / done.seconds


def main() -> None:
    runner = loaded(open_reranker(resolve(sys.argv[1])))
    limits = batch_limits(Settings())
    items: list[Any] = []
    for found in runner.prepare(jobs(runner.info.id, 100, DOCUMENTS)):
        assert isinstance(found, list)
        items += found
    batches = [
        batch
        for at in range(0, len(items), AT_ONCE)
        for batch in cut(
            sorted(items[at : at + AT_ONCE], key=lambda item: item.length), limits.tokens, limits.items
        )
    ]
    rates: dict[str, float] = {}
    for name, chosen in (("batched", batches), ("one_by_one", [[item] for item in items[:SINGLE]])):
        run(runner, chosen if device_is_gpu() else chosen[:1])  # first calls of a shape may be slow
        began = time.perf_counter()
        run(runner, chosen)
        rates[name] = sum(map(len, chosen)) / (time.perf_counter() - began)
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
