"""Real texts through a real model: served over HTTP, against the same model called in process."""

import contextlib
import json
import os
from collections.abc import AsyncIterator
from typing import NamedTuple

from bench.client import Load, load_from_processes
from bench.corpus import bodies, texts
from bench.report import Row, median
from bench.stack import api, free_port, process, python, redis_server, until_answers
from workers.limits import CPU_TOKENS
from workers.models import resolve
from workers.openblas import preload

MODEL = "all-MiniLM-L6-v2"
COUNT = 2000
CONCURRENCIES = (1, 16, 64)


class Ceiling(NamedTuple):
    """Texts per second in process; mean tokens of a text; share of padding."""

    batched: float
    one_by_one: float
    mean_tokens: float
    padding: float


async def measure(repeats: int) -> list[Row]:
    ceilings: list[Ceiling] = []
    served: dict[str, list[float]] = {}
    peer: dict[str, list[float]] = {}
    for _ in range(repeats):
        ceilings.append(await ceiling(MODEL, COUNT, CPU_TOKENS, 256))
        async with stack(MODEL) as port:
            for name, load in await serve_all(port).collect():
                served.setdefault(name, []).append(load)
        ceilings.append(await ceiling(MODEL, COUNT, CPU_TOKENS, 256))
        async with mlx_vlm_server(MODEL) as port:
            for concurrency in CONCURRENCIES:
                load = await one_text_each(port, str(resolve(MODEL).folder), concurrency, 100 + 4 * concurrency)
                peer.setdefault(f"{concurrency} at once", []).append(load.per_s)
    top = median([each.batched for each in ceilings])
    rows = [Row("in process, perfect batches", {"texts/s": top, "mean tokens": ceilings[0].mean_tokens})]
    rows += [
        Row(
            f"served, {name}",
            {"texts/s": median(rates), "of the ceiling": median(rates) / top}
            | ({"mlx_vlm.server texts/s": median(peer[name])} if name in peer else {}),
        )
        for name, rates in served.items()
    ]
    return rows
