"""The ceiling: a model called in process, in perfect batches.

`python -m bench.embed.ceiling MODEL COUNT BATCH_TOKENS BATCH_ITEMS CORPUS`

Perfect: everything is there from the start, tokenised, sorted by length, cut by padded tokens and items.
Prints JSON: texts/s in batches, texts/s one by one, mean tokens, share of padding.
"""

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from bench.corpus import CORPORA
from jobs.embed import EmbedJob
from jobs.errors import JobError
from workers.models.open import open_embedder
from workers.models.resolve import resolve
from workers.runners.contract import BatchRunner, loaded
from workers.scheduling.device_limits import device_is_gpu


def main() -> None:
    spec, count, batch_tokens, batch_items = sys.argv[1], *map(int, sys.argv[2:5])
    runner = loaded(open_embedder(resolve(spec)))
    inputs = tuple(CORPORA[sys.argv[5]].texts(count))
    items = runner.prepare([EmbedJob(model=spec, inputs=inputs)])[0]
    assert isinstance(items, list)
    batches = cut(sorted(items, key=lambda item: item.length), batch_tokens, batch_items)
    for batch in batches:
        runner.launch(batch)()  # first calls of a shape may be slow
    began = time.perf_counter()
    for batch in batches:
        runner.launch(batch)()
    batched_s = time.perf_counter() - began
    single = items[: max(8, count // 20)]
    began = time.perf_counter()
    for item in single:
        runner.launch([item])()
    single_s = time.perf_counter() - began
    tokens = sum(item.length for item in items)
    padded = sum(batch[-1].length * len(batch) for batch in batches)
    print(
        json.dumps(
            {
                "batched": count / batched_s,
                "one_by_one": len(single) / single_s,
                "mean_tokens": tokens / count,
                "padding": 1 - tokens / padded,
            }
        )
    )


def cut(items: list[Any], batch_tokens: int, batch_items: int) -> list[list[Any]]:
    batches: list[list[Any]] = [[]]
    for item in items:
        batch = batches[-1]
        if batch and (len(batch) >= batch_items or item.length * (len(batch) + 1) > batch_tokens):
            batches.append(batch := [])
        batch.append(item)
    return batches


def run(runner: BatchRunner, batches: Sequence[Sequence[Any]]) -> None:
    """All of them; as in a worker, a GPU has the next batch before it ends one."""
    depth = 2 if device_is_gpu() else 1
    launched: deque[Callable[[], Sequence[Any]]] = deque()
    for batch in batches:
        launched.append(runner.launch(batch))
        if len(launched) == depth:
            _wait(launched.popleft())
    while launched:
        _wait(launched.popleft())


def _wait(outcomes: Callable[[], Sequence[Any]]) -> None:
    for outcome in outcomes():
        assert not isinstance(outcome, JobError), outcome


if __name__ == "__main__":
    main()
