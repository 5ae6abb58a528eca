"""The ceiling: a model that reads pages, called in process, in batches of several sizes.

`python -m bench.gpu.page_ceiling MODEL PICTURES PAGES` reads the files in the folder PICTURES, again and
again up to PAGES.

The pages are there from the start, decoded and cut up; as in a worker, a GPU has the next batch before it ends one.
Prints JSON: tokens of a page, pages/s that the worker's own code decodes and cuts up, pages/s by pages per batch.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from bench.embed.ceiling import run
from jobs.content import ImagePart, MixedInput
from jobs.embed import EmbedJob
from jobs.settings import Settings
from workers.models.open import load_runner
from workers.runners.contract import BatchRunner
from workers.scheduling.device_limits import batch_limits

SIZES = (1, 4, 8, 16)
WARM_UP_BATCHES = 3


def main() -> None:
    settings = Settings()
    runner = load_runner(sys.argv[1], settings)
    assert isinstance(runner, BatchRunner)
    images = [path.read_bytes() for path in sorted(Path(sys.argv[2]).iterdir())]
    pages = int(sys.argv[3])
    jobs = [EmbedJob(model=runner.info.id, inputs=(MixedInput((ImagePart(each),)),)) for each in images]
    began = time.perf_counter()
    items = list(_items(runner, jobs))
    prepared_s = time.perf_counter() - began
    found: dict[int, float] = {}
    for size in sorted({*SIZES, _largest(settings, items[0].length)}):
        batches = _cut(list(islice(cycle(items), pages)), size)
        run(runner, batches[:WARM_UP_BATCHES])  # every shape is planned once
        began = time.perf_counter()
        run(runner, batches)
        found[size] = sum(map(len, batches)) / (time.perf_counter() - began)
        print(f"{found[size]:.2f} pages/s in batches of {size}", file=sys.stderr)
    print(
        json.dumps(
            {
                "page_tokens": sum(item.length for item in items) / len(items),
                "prepared_per_s": len(items) / prepared_s,
                "pages_per_s": found,
            }
        )
    )


def _items(runner: BatchRunner, jobs: Sequence[EmbedJob]) -> Iterator[Any]:
    for prepared in runner.prepare(jobs):
        assert isinstance(prepared, list), prepared
        yield from prepared


def _largest(settings: Settings, length: int) -> int:
    """The most pages that the worker would put into a batch."""
    limits = batch_limits(settings)
    most = max(1, min(limits.items, limits.tokens // length))
    return max((count for count in limits.counts if count <= most), default=most)


def _cut(items: list[Any], size: int) -> list[list[Any]]:
    """Batches of that size; what is left over is dropped, as long as there is one."""
    batches = [items[at : at + size] for at in range(0, len(items), size)]
    return [batch for batch in batches if len(batch) == size] or batches


if __name__ == "__main__":
    main()
