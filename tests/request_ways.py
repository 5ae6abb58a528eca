"""`python -m tests.request_ways`: the files that one request of each kind runs through, in the API and in a worker.

A real Redis, real small models. A file counts where one of its functions runs for each of several such requests and
does not run in a process that idles: heartbeats and looks at Redis are no part of a request's way. Definitions that are
only read (structs, constants) run nothing and do not count.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import httpx

from api.app import create_app
from jobs.client.queue import JobQueue
from jobs.settings import Settings
from jobs.store.connection import connect_async
from jobs.store.redis_server import RedisServer
from tests.checkpoints import rerankers
from tests.support.folders import ROOT, TINY_CHAT
from tests.support.waiting import until_async

PACKAGES = ("api", "jobs", "workers")
TIMES = 3
IDLE_S = 12.0
"""Longer than anything that idle processes do again and again."""

Ran = tuple[str, str]
"""(file, function)."""

FLOORS = {"dialects": 2, "openapi": 1, "requests": 1, "replies": 1, "fetch": 1, "work": 0}
"""The floors of api/: a folder calls what is below it or beside it. api's own files are above all of them."""

EMBEDDER, CHAT, RERANKER = "all-MiniLM-L6-v2", "tiny-chat", "reranker"


class Kind(NamedTuple):
    """A kind of request."""

    name: str
    path: str
    body: dict[str, Any]


KINDS = (
    Kind("embedding", "/v1/embeddings", {"model": EMBEDDER, "input": ["A meal.", "A rocket."]}),
    Kind(
        "chat stream",
        "/v1/chat/completions",
        {"model": CHAT, "messages": [{"role": "user", "content": "hello"}], "stream": True, "max_tokens": 8},
    ),
    Kind("reranking", "/v1/rerank", {"model": RERANKER, "query": "fox", "documents": ["red fox", "dog"]}),
)


class Tracer:
    """Notes which functions of ours run, in every thread that starts after it."""

    def __init__(self) -> None:
        self._ours: dict[CodeType, Ran | None] = {}
        self._ran: dict[Ran, None] = {}
        self.upward: dict[str, None] = {}
        """Calls within api/ into a higher floor."""
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def take(self) -> list[Ran]:
        """What ran since the last time, in the order of the first calls."""
        ran, self._ran = self._ran, {}
        return list(ran)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        if code not in self._ours:
            self._ours[code] = _ran(code)
        if (ran := self._ours[code]) is not None:
            self._ran.setdefault(ran)
            if ran[0].startswith("api/"):
                self._check_floor(ran[0], frame.f_back)

    def _check_floor(self, file: str, caller: FrameType | None) -> None:
        """caller: the nearest one that is in api/ counts."""
        while caller is not None:
            ran = self._ours.get(caller.f_code)
            if ran is not None and ran[0].startswith("api/"):
                if _floor(file) > _floor(ran[0]):
                    self.upward.setdefault(f"{ran[0]} -> {file}")
                return
            caller = caller.f_back


def _ran(code: CodeType) -> Ran | None:
    """None for what is not ours, and for what only runs when a module is imported."""
    path = Path(code.co_filename)
    if not path.is_relative_to(ROOT) or code.co_name == "<module>":
        return None
    file = path.relative_to(ROOT)
    return (str(file), code.co_qualname) if file.parts[0] in PACKAGES else None


def _floor(file: str) -> int:
    parts = Path(file).parts
    return FLOORS[parts[1]] if len(parts) > 2 else 3


def trace_worker() -> int:
    """A worker with a tracer: for each line on stdin, it writes what ran since the one before."""
    tracer = Tracer()

    def answer() -> None:
        for _ in sys.stdin:
            print(json.dumps(tracer.take()), flush=True)

    threading.Thread(target=answer, daemon=True).start()
    from workers.__main__ import main

    sys.argv = sys.argv[:1]
    try:
        return main()
    finally:
        sys.setprofile(None)


class TracedWorker:
    """`trace_worker` in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def take(self) -> list[Ran]:
        """As Tracer.take."""
        assert self._process.stdin and self._process.stdout
        print(file=self._process.stdin, flush=True)
        return [(file, function) for file, function in json.loads(self._process.stdout.readline())]


@contextmanager
def traced_worker(**environ: str) -> Iterator[TracedWorker]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.request_ways", "worker"],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield TracedWorker(process)
    finally:
        process.terminate()
        process.wait(60)


async def ways(url: str, worker: TracedWorker, tracer: Tracer) -> dict[str, tuple[list[str], list[str]]]:
    """For each kind: the API's files and the worker's, in the order in which they are entered."""
    queue = JobQueue(connect_async(url), Settings())
    await queue.start()
    transport = httpx.ASGITransport(create_app(queue, Settings()))
    found: dict[str, tuple[list[str], list[str]]] = {}
    async with httpx.AsyncClient(transport=transport, base_url="http://mlxq", timeout=60) as client:
        await until_async(queue.ready)
        for kind in KINDS:
            await _ask(client, kind)  # whatever is only done once is done
        await asyncio.sleep(2)
        tracer.take()
        worker.take()
        await asyncio.sleep(IDLE_S)
        idle = (set(tracer.take()), set(worker.take()))
        tracer.upward.clear()  # that was the start of the application
        for kind in KINDS:
            api: list[list[Ran]] = []
            work: list[list[Ran]] = []
            for _ in range(TIMES):
                await _ask(client, kind)
                await asyncio.sleep(0.5)  # until the worker has nothing left to do for the job
                api.append(tracer.take())
                work.append(worker.take())
            found[kind.name] = (_files(api, idle[0]), _files(work, idle[1]))
    await queue.aclose()
    return found


async def _ask(client: httpx.AsyncClient, kind: Kind) -> None:
    reply = await client.post(kind.path, json=kind.body)
    assert reply.status_code == 200, reply.text


def _files(runs: list[list[Ran]], idle: set[Ran]) -> list[str]:
    always = set(runs[0]).intersection(*runs[1:]) - idle
    return list(dict.fromkeys(file for file, function in runs[0] if (file, function) in always))


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="mlxq-") as folder, RedisServer(Path(folder) / "redis") as server:
        reranker = rerankers.make("bert", Path(folder) / RERANKER)
        models = json.dumps([EMBEDDER, f"{CHAT}={TINY_CHAT}", f"{RERANKER}={reranker}"])
        tracer = Tracer()
        with traced_worker(REDIS_URL=server.url, MLXQ_MODELS=models, MLXQ_LOG_LEVEL="ERROR") as worker:
            found = asyncio.run(ways(server.url, worker, tracer))
        sys.setprofile(None)
    for name, (api, work) in found.items():
        files = list(dict.fromkeys([*api, *work]))
        print(f"{name}: {len(files)} files ({len(api)} in the API, {len(work)} in the worker)")
        for title, side in (("API", api), ("worker", work)):
            print(f"  {title}:", *side, sep="\n    ")
    print("calls to a higher floor of api/:", *(tracer.upward or ["none"]), sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(trace_worker() if sys.argv[1:] == ["worker"] else main())
