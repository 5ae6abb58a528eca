"""Starting what is measured: Redis, workers and servers, each in a process of its own."""

import asyncio
import contextlib
import functools
import os
import signal
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from jobs.client.queue import JobQueue
from jobs.settings import Settings
from jobs.store.connection import connect_async
from jobs.store.redis_server import RedisServer
from workers.openblas.preload import preload_openblas

ROOT = Path(__file__).parent.parent


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """An own Redis as `mlxq up` starts it (append-only file, every second). Its URL."""
    with (
        tempfile.TemporaryDirectory(prefix="mlxq-bench-") as folder,
        RedisServer(Path(folder) / "r") as server,
    ):
        yield server.url


@contextlib.asynccontextmanager
async def process(
    *command: str, quiet: bool = True, **environ: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child that is stopped by SIGTERM at the end."""
    output = asyncio.subprocess.DEVNULL if quiet else None
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    child = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, "PYTHONPATH": path, **environ}, stdout=output, stderr=output
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(20):
                    await child.wait()
        if child.returncode is None:
            child.kill()


@functools.cache
def mlx_environ() -> dict[str, str]:
    """With what makes MLX fast on this machine, as a worker gets it."""
    return preload_openblas(os.environ)


def peer(*arguments: str) -> contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """Another project's server, `python -m …`, with what makes MLX fast on this machine."""
    added = {name: value for name, value in mlx_environ().items() if os.environ.get(name) != value}
    return process(*python("-m", *arguments), quiet=True, **added)


async def output_of(*arguments: str) -> bytes:
    """What `python …` printed, in a process of its own, so that this one loads no MLX."""
    child = await asyncio.create_subprocess_exec(
        *python(*arguments), env=mlx_environ(), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await child.communicate()
    if child.returncode:
        raise RuntimeError(f"python {' '.join(arguments)} ended with {child.returncode}")
    return output


def python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, *arguments)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def until_answers(url: str, timeout_s: float = 120) -> None:
    """Wait for HTTP 200."""

    def ask() -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as reply:
            return reply.status == 200
        return False

    await until(ask, timeout_s, url)


async def until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not await asyncio.to_thread(condition):
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def job_queue(url: str, model: str, **settings: int) -> AsyncIterator[JobQueue]:
    """A queue client, once a worker has announced the model."""
    queue = JobQueue(connect_async(url), Settings.model_validate(settings))
    await queue.start()
    deadline = time.monotonic() + 300
    while not any(info.id == model for info in await queue.models()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no worker announced {model}")
        await asyncio.sleep(0.1)
    yield queue
    await queue.aclose()


@contextlib.asynccontextmanager
async def api(url: str, processes: int = 1) -> AsyncIterator[int]:
    """`mlxq serve`; its port, once a worker is ready."""
    port = free_port()
    command = ("-m", "cli.main", "serve", "--port", str(port), "--api-processes", str(processes))
    async with process(*python(*command), REDIS_URL=url):
        await until_answers(f"http://127.0.0.1:{port}/ready")
        yield port
