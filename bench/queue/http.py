"""HTTP: /v1/embeddings with a model that computes nothing, against a bare FastAPI route with the same reply."""

import contextlib
from collections.abc import AsyncIterator

from bench.client import load_from_processes
from bench.report import Row, median
from bench.stack import api, free_port, process, python, redis_server, until_answers

BODY = b'{"model": "noop", "input": "hello"}'
REPLY = (
    b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0]}],'
    b'"model":"noop","usage":{"prompt_tokens":1,"total_tokens":1}}'
)
TOTAL = 12_000


@contextlib.asynccontextmanager
async def bare_route() -> AsyncIterator[int]:
    port = free_port()
    async with process(*python("-m", "bench.queue.bare_route", str(port))):
        await until_answers(f"http://127.0.0.1:{port}/ready")
        yield port


@contextlib.asynccontextmanager
async def noop_stack() -> AsyncIterator[int]:
    with redis_server() as url:
        async with process(*python("-m", "bench.queue.noop_worker"), REDIS_URL=url), api(url) as port:
            yield port


async def measure(repeats: int, connections: int = 64) -> list[Row]:
    ours: list[float] = []
    bare: list[float] = []
    p50: list[float] = []
    for _ in range(repeats):
        async with noop_stack() as port:
            await load_from_processes(port, [BODY], connections=connections, total=1000)
            load = await load_from_processes(port, [BODY], connections=connections, total=TOTAL)
            assert load.errors == 0
            ours.append(load.per_s)
            p50.append(load.latency_ms(0.5))
        async with bare_route() as port:
            await load_from_processes(port, [BODY], connections=connections, total=1000)
            bare.append((await load_from_processes(port, [BODY], connections=connections, total=TOTAL)).per_s)
    ratio = median([a / b for a, b in zip(ours, bare, strict=True)])
    figures = {
        "mlxq requests/s": median(ours),
        "p50 ms": median(p50),
        "bare requests/s": median(bare),
        "ratio": ratio,
    }
    return [Row(f"{connections} connections", figures)]
