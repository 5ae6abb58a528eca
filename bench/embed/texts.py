"""Real texts through a real model: served over HTTP, against the same model called in process."""

import importlib.util
import json
from typing import NamedTuple

from bench.client import Load, load_from_processes
from bench.corpus import CORPORA, bodies
from bench.report import Row, median
from bench.stack import api, free_port, output_of, peer, process, python, redis_server, until_answers
from workers.models.resolve import resolve
from workers.scheduling.device_limits import CPU_TOKENS

MODEL = "all-MiniLM-L6-v2"
CORPUS = "mixed"
COUNT = 800
CONCURRENCIES = (1, 16, 64)
TOTALS = {1: 100, 16: 600, 64: 1500}
PEER_TOTALS = {1: 60, 16: 200, 64: 300}


class Ceiling(NamedTuple):
    """Texts per second in process; mean tokens of a text; share of padding."""

    batched: float
    one_by_one: float
    mean_tokens: float
    padding: float

    @property
    def top(self) -> float:
        """On a CPU a text at a time may be as fast as any batch."""
        return max(self.batched, self.one_by_one)


async def measure(repeats: int) -> list[Row]:
    ceilings: list[Ceiling] = []
    served: dict[str, list[tuple[float, float]]] = {}
    peer: dict[str, list[float]] = {}
    for _ in range(repeats):
        before = await ceiling(MODEL, COUNT, CPU_TOKENS, 256)
        loads = await serve()
        after = await ceiling(MODEL, COUNT, CPU_TOKENS, 256)
        ceilings += [before, after]
        top = (before.top + after.top) / 2  # the machine's speed drifts: each run has its own ceiling
        for name, rate in loads.items():
            served.setdefault(name, []).append((rate, rate / top))
        for name, rate in (await serve_by_mlx_vlm()).items():
            peer.setdefault(name, []).append(rate)
    in_process = {
        "texts/s": median([each.batched for each in ceilings]),
        "one by one": median([each.one_by_one for each in ceilings]),
        "mean tokens": ceilings[0].mean_tokens,
        "padding": ceilings[0].padding,
    }
    rows = [Row("in process, perfect batches", in_process)]
    for name, runs in served.items():
        figures = {
            "texts/s": median([rate for rate, _ in runs]),
            "of the ceiling": median([part for _, part in runs]),
        }
        if name in peer:
            figures["mlx_vlm.server texts/s"] = median(peer[name])
        rows.append(Row(f"served, {name}", figures))
    return rows


async def ceiling(
    model: str, count: int, batch_tokens: int, batch_items: int, corpus: str = CORPUS
) -> Ceiling:
    sizes = map(str, (count, batch_tokens, batch_items))
    return Ceiling(**json.loads(await output_of("-m", "bench.embed.ceiling", model, *sizes, corpus)))


async def serve() -> dict[str, float]:
    """Texts per second through `mlxq worker` and `mlxq serve`."""
    rates: dict[str, float] = {}
    with redis_server() as url:
        worker = process(*python("-m", "cli.main", "worker", "--model", MODEL), REDIS_URL=url)
        async with worker, api(url) as port:
            for concurrency in CONCURRENCIES:
                load = await one_text_each(port, MODEL, concurrency, TOTALS[concurrency])
                rates[f"{concurrency} at once"] = load.per_s
            body = json.dumps(
                {"model": MODEL, "input": CORPORA[CORPUS].texts(2048), "encoding_format": "base64"}
            )
            load = await load_from_processes(port, [body.encode()], connections=1, total=1)
            assert load.errors == 0
            rates["one request of 2,048"] = 2048 / load.seconds
    return rates


async def serve_by_mlx_vlm() -> dict[str, float]:
    """The same through mlx_vlm.server; nothing where it is not installed."""
    if importlib.util.find_spec("mlx_vlm.server") is None:
        return {}
    port, folder = free_port(), str(resolve(MODEL).folder)
    rates: dict[str, float] = {}
    async with peer("mlx_vlm.server", "--port", str(port), "--embedding-model", folder):
        await until_answers(f"http://127.0.0.1:{port}/v1/models")
        for concurrency in CONCURRENCIES:
            load = await one_text_each(port, folder, concurrency, PEER_TOTALS[concurrency])
            rates[f"{concurrency} at once"] = load.per_s
    return rates


async def one_text_each(
    port: int, model: str, concurrency: int, total: int, *, processes: int = 1, corpus: str = CORPUS
) -> Load:
    requests = bodies(model, CORPORA[corpus].texts(total))
    await load_from_processes(port, requests[:concurrency], connections=concurrency, total=concurrency)
    load = await load_from_processes(
        port, requests, connections=concurrency, total=total, processes=processes
    )
    assert load.errors == 0, f"{load.errors} requests failed"
    return load
