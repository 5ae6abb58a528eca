"""MLX's matrix products as a worker computes them, against numpy's own in a process of its own.

`python -m bench.embed.blas mlx|numpy` is either side. It measures once for each line that it reads, so that both
sides can take turns: the speed of a shared machine drifts. Prints GFLOP/s for each shape, of the fastest product in a
fifth of a second. With one thread that is by processor time, which does not count what other processes take.
"""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import numpy as np

from bench.report import Row, median
from bench.stack import mlx_environ, python

TURNS = 5
"""Of each repeat."""
TURN_S = 0.2

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}


class Shape(NamedTuple):
    """Rows of the left, values of each, columns of the right."""

    rows: int
    inner: int
    columns: int

    @property
    def name(self) -> str:
        return f"{self.rows} × {self.inner} by {self.inner} × {self.columns}"


SHAPES = (Shape(1024, 384, 1536), Shape(512, 512, 512), Shape(1024, 1024, 1024))
"""The first is a batch of a thousand tokens in MiniLM's widest layer."""


async def measure(repeats: int) -> list[Row]:
    rows: list[Row] = []
    for threads, environ in (("all cores", {}), ("one core", ONE_THREAD)):
        turns = await take_turns(environ, TURNS * repeats)
        for at, shape in enumerate(SHAPES):
            mlx, numpy = [turn[0][at] for turn in turns], [turn[1][at] for turn in turns]
            parts = [ours / theirs for ours, theirs in zip(mlx, numpy, strict=True)]
            figures = {
                "numpy GFLOP/s": median(numpy),
                "MLX GFLOP/s": median(mlx),
                "of numpy's": median(parts),
            }
            rows.append(Row(f"{threads}, {shape.name}", figures))
    return rows


async def take_turns(environ: dict[str, str], turns: int) -> list[tuple[list[float], list[float]]]:
    """GFLOP/s of MLX and of numpy for each shape, in each turn."""
    async with side("mlx", mlx_environ() | environ) as mlx, side("numpy", os.environ | environ) as numpy:
        return [(await mlx(), await numpy()) for _ in range(turns)]


@contextlib.asynccontextmanager
async def side(library: str, environ: dict[str, str]) -> AsyncIterator[Callable[[], Awaitable[list[float]]]]:
    child = await asyncio.create_subprocess_exec(
        *python("-m", "bench.embed.blas", library),
        env=environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    requests, replies = child.stdin, child.stdout

    async def rates() -> list[float]:
        requests.write(b"\n")
        await requests.drain()
        line = await replies.readline()
        if not line:
            raise RuntimeError(f"the process of {library} has ended")
        return [float(rate) for rate in line.split()]

    yield rates
    requests.close()
    await child.wait()


def multiplication(library: str, shape: Shape) -> Callable[[], Any]:
    random = np.random.default_rng(0)
    left = random.random((shape.rows, shape.inner), np.float32)
    right = random.random((shape.inner, shape.columns), np.float32)
    if library == "numpy":
        return lambda: left @ right
    import mlx.core as mx

    mlx_left, mlx_right = mx.array(left), mx.array(right)
    return lambda: mx.eval(mlx_left @ mlx_right)


def gflops(multiply: Callable[[], Any], shape: Shape) -> float:
    clock = time.process_time if os.environ.get("OPENBLAS_NUM_THREADS") == "1" else time.perf_counter
    fastest_s, until = float("inf"), time.perf_counter() + TURN_S
    while time.perf_counter() < until:
        started = clock()
        multiply()
        fastest_s = min(fastest_s, clock() - started)
    return 2 * shape.rows * shape.inner * shape.columns / fastest_s / 1e9


def main() -> None:
    products = [(multiplication(sys.argv[1], shape), shape) for shape in SHAPES]
    for multiply, shape in products:
        gflops(multiply, shape)  # the first calls may be slow
    for _ in sys.stdin:
        print(*(gflops(multiply, shape) for multiply, shape in products), flush=True)


if __name__ == "__main__":
    main()
