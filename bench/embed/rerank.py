"""Documents reranked over HTTP, against the same model called in process.

`python -m bench.embed.rerank FOLDER PAIRS` is the ceiling: a hundred pairs at a time, as the server gets them,
tokenised, sorted by length, in perfect batches, or one by one where that is faster. It measures once for each line
that it reads, so that both sides can take turns: the speed of a shared machine drifts. Prints pairs/s.
"""

import asyncio
import contextlib
import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.client import load_from_processes
from bench.corpus import CORPORA
from bench.embed.ceiling import cut, run
from bench.report import Row, median
from bench.stack import (
    api,
    free_port,
    mlx_environ,
    output_of,
    peer,
    process,
    python,
    redis_server,
    until_answers,
)
from jobs.rerank import RerankJob
from jobs.settings import Settings
from workers.models.open import open_reranker
from workers.models.resolve import resolve
from workers.runners.contract import loaded
from workers.scheduling.device_limits import batch_limits, limit_cache

TURNS = 3
"""Of each repeat."""
DOCUMENTS = 200
"""In a turn of either side."""
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


class Turn(NamedTuple):
    """pairs_per_s: served. ceiling: in process, before and after."""

    pairs_per_s: float
    ceiling: float


async def measure(repeats: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="mlxq-bench-") as scratch:
        folder = Path(scratch) / "minilm-cross-encoder"
        await write(folder, "write_cross_encoder")
        turns = await take_turns(folder, CASES, DOCUMENTS, TURNS * repeats)
        peers = [await _serve_by_mlx_vlm(folder) for _ in range(repeats)]
    found = rows(turns)
    for row, case in zip(found[1:], CASES, strict=True):
        if rates := [each[case] for each in peers if each]:
            row.figures["mlx_vlm.server pairs/s"] = median(rates)
    return found


async def write(folder: Path, writer: str) -> None:
    """writer: of bench.checkpoint."""
    await output_of(
        "-c", f"from pathlib import Path; from bench.checkpoint import *; {writer}(Path({str(folder)!r}))"
    )


async def take_turns(
    folder: Path, cases: Sequence[Case], documents: int, turns: int, warm_up: int = AT_ONCE
) -> dict[Case, list[Turn]]:
    """documents: in each turn of either side. warm_up: so many before the first."""
    found: dict[Case, list[Turn]] = {case: [] for case in cases}
    with redis_server() as url:
        worker = process(*python("-m", "cli.main", "worker", "--model", str(folder)), REDIS_URL=url)
        async with worker, api(url) as port, in_process(folder, documents) as ceiling:
            for case in cases:
                await load(port, folder.name, case, warm_up)
            before = await ceiling()
            for _ in range(turns):
                for case in cases:
                    rate = await load(port, folder.name, case, documents)
                    after = await ceiling()
                    found[case].append(Turn(rate, (before + after) / 2))
                    before = after
    return found


def rows(turns: dict[Case, list[Turn]]) -> list[Row]:
    tops = [each.ceiling for own in turns.values() for each in own]
    found = [Row("in process, perfect batches", {"pairs/s": median(tops)})]
    for case, own in turns.items():
        parts = [each.pairs_per_s / each.ceiling for each in own]
        figures = {"pairs/s": median([each.pairs_per_s for each in own]), "of the ceiling": median(parts)}
        found.append(Row(f"served, {case.name}", figures | {"lowest": min(parts), "highest": max(parts)}))
    return found


@contextlib.asynccontextmanager
async def in_process(folder: Path, pairs: int) -> AsyncIterator[Callable[[], Awaitable[float]]]:
    """Pairs per second in process, at each call."""
    child = await asyncio.create_subprocess_exec(
        *python("-m", "bench.embed.rerank", str(folder), str(pairs)),
        env=mlx_environ(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    requests, replies = child.stdin, child.stdout

    async def rate() -> float:
        requests.write(b"\n")
        await requests.drain()
        line = await replies.readline()
        if not line:
            raise RuntimeError("the process of the ceiling has ended")
        return float(line)

    yield rate
    requests.close()
    await child.wait()


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


async def _serve_by_mlx_vlm(folder: Path) -> dict[Case, float]:
    """The same through mlx_vlm.server; nothing where it is not installed."""
    if importlib.util.find_spec("mlx_vlm.server") is None:
        return {}
    port = free_port()
    async with peer("mlx_vlm.server", "--port", str(port), "--reranker-model", str(folder)):
        await until_answers(f"http://127.0.0.1:{port}/v1/models")
        return {case: await load(port, str(folder), case, DOCUMENTS) for case in CASES}


async def load(port: int, model: str, case: Case, total: int) -> float:
    """Pairs per second."""
    bodies = [
        json.dumps({"model": model, "query": job.query, "documents": job.documents}).encode()
        for job in jobs(model, case.documents, total)
    ]
    done = await load_from_processes(
        port, bodies, connections=case.at_once, total=len(bodies), path="/v1/rerank"
    )
    assert done.errors == 0, f"{done.errors} requests failed"
    return total / done.seconds


def main() -> None:
    limit_cache()  # as a worker does: the other side needs room, too
    runner = loaded(open_reranker(resolve(sys.argv[1])))
    limits = batch_limits(Settings())
    items: list[Any] = []
    for found in runner.prepare(jobs(runner.info.id, AT_ONCE, int(sys.argv[2]))):
        assert isinstance(found, list)
        items += found
    batches = [
        batch
        for at in range(0, len(items), AT_ONCE)
        for batch in cut(
            sorted(items[at : at + AT_ONCE], key=lambda item: item.length), limits.tokens, limits.items
        )
    ]

    def rate(chosen: list[list[Any]]) -> float:
        began = time.perf_counter()
        run(runner, chosen)
        return sum(map(len, chosen)) / (time.perf_counter() - began)

    rate(batches)  # first calls of a shape may be slow
    single = [[item] for item in items]
    best = single if rate(single[:SINGLE]) > rate(batches) else batches
    for _ in sys.stdin:
        print(rate(best), flush=True)


if __name__ == "__main__":
    main()
