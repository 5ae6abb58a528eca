"""What a batch wastes and what it changes: padding of lognormal lengths, and vectors alone against in any batch."""

import json
import random
import sys
from collections import deque
from typing import Any, NamedTuple

import numpy as np

from bench.corpus import Corpus
from bench.embed.texts import MODEL
from bench.report import Row
from bench.stack import output_of
from jobs.embed import EmbedJob
from jobs.job import Lane
from workers.models.open import open_embedder
from workers.models.resolve import resolve
from workers.runners.contract import BatchRunner, loaded
from workers.scheduling.batch_shapes import COUNTS
from workers.scheduling.device_limits import (
    CPU_FREE_PADDING,
    CPU_TOKENS,
    GPU_FREE_PADDING,
    GPU_TOKENS,
    MAX_ITEMS,
)
from workers.scheduling.device_queue import MAX_JOBS, POOL_BATCHES
from workers.scheduling.packing import BatchLimits, pack

SPREAD = Corpus(median_words=40, sigma=0.8)
CPU = BatchLimits(CPU_TOKENS, MAX_ITEMS, 0.08, CPU_FREE_PADDING)
CUDA = BatchLimits(GPU_TOKENS, MAX_ITEMS, 0.08, GPU_FREE_PADDING, COUNTS)
TEXTS = 300


class Entry(NamedTuple):
    length: int
    order: int
    lane: Lane = Lane.BULK


async def measure(repeats: int) -> list[Row]:
    """One run, whatever `repeats`: nothing here depends on time."""
    output = await output_of("-m", "bench.embed.batches")
    return [
        Row("padding, limits of a CPU", {"% of tokens": 100 * padding(CPU, 2_000)}),
        Row("padding, limits of a CUDA device", {"% of tokens": 100 * padding(CUDA, 20_000)}),
        Row(f"{TEXTS} texts alone, in batches, shuffled", json.loads(output)),
    ]


def padding(limits: BatchLimits, count: int) -> float:
    """Share of padding when `count` texts are taken as a worker does: so many batches ahead, then packed."""
    rng = random.Random(5)
    coming = [Entry(max(3, min(512, round(52 * rng.lognormvariate(0, 0.8)))), n) for n in range(count)]
    real = padded = 0
    for batch in batches(coming, limits):
        real += sum(entry.length for entry in batch)
        padded += max(entry.length for entry in batch) * len(batch)
    return 1 - real / padded


def batches(coming: list[Any], limits: BatchLimits) -> list[list[Any]]:
    made: list[list[Any]] = []
    pool: list[Any] = []
    queue = deque(coming)
    while queue or pool:
        while queue and len(pool) < MAX_JOBS and sum(e.length for e in pool) < limits.tokens * POOL_BATCHES:
            pool.append(queue.popleft())
        chosen = pack(pool[0], [pool[1:]], limits)
        made.append(chosen)
        taken = set(map(id, chosen))
        pool = [entry for entry in pool if id(entry) not in taken]
    return made


def lowest_cosine() -> float:
    """Of each text's vector alone to its vector in the worker's batches, in two orders."""
    runner = loaded(open_embedder(resolve(MODEL)))
    items = runner.prepare([EmbedJob(model=MODEL, inputs=tuple(SPREAD.texts(TEXTS)), truncate="end")])[0]
    assert isinstance(items, list)
    alone = np.array([runner.launch([item])()[0] for item in items])
    shuffled = random.Random(3).sample(range(TEXTS), TEXTS)
    return min(_cosines(runner, items, alone, order).min() for order in (list(range(TEXTS)), shuffled))


def _cosines(runner: BatchRunner, items: list[Any], alone: Any, order: list[int]) -> Any:
    together = np.empty_like(alone)
    entries = [Entry(items[n].length, n) for n in order]
    for batch in batches(entries, CPU):
        for entry, vector in zip(
            batch, runner.launch([items[entry.order] for entry in batch])(), strict=True
        ):
            together[entry.order] = vector
    return (alone.astype(np.float64) * together).sum(axis=1)


if __name__ == "__main__":
    json.dump({"lowest cosine - 1": float(lowest_cosine() - 1)}, sys.stdout)
