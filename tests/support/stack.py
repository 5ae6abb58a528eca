"""Real processes for tests: Redis, `mlxq serve` and `mlxq worker`, started as a user starts them."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil
import redis

from jobs.store import keys
from jobs.store.connection import connect
from jobs.store.redis_server import RedisServer
from tests.support.folders import ROOT
from tests.support.leaks import left_running
from tests.support.waiting import PATIENCE_S, wait_until

MODEL = "all-MiniLM-L6-v2"

READY_S = 180
"""A worker imports MLX and reads its models first; with ten programs on each core that takes a minute."""


class Program:
    """A running program of ours; what it says goes to a file."""

    def __init__(self, log: Path, *command: str, **environ: str | None) -> None:
        """environ: variables to set, or, where the value is None, to take out."""
        self._log = log
        variables = {name: value for name, value in {**os.environ, **environ}.items() if value is not None}
        with log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=variables,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_for(self, pattern: str, timeout_s: float = PATIENCE_S) -> re.Match[str]:
        """The first match in what it has said, once there is one. Fails where the program ends without it."""

        def match() -> re.Match[str] | None:
            has_ended = self.process.poll() is not None
            found = re.search(pattern, self.said, re.MULTILINE)
            assert found or not has_ended, self.said
            return found

        return wait_until(match, timeout_s, because=lambda: self.said)

    def children(self) -> list[psutil.Process]:
        """What a `mlxq` command supervises."""
        return psutil.Process(self.process.pid).children()

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


class Stack:
    """Redis, the API and a worker that serves `models`, MiniLM if none are named. `settings` are the MLXQ_ variables
    of all of them.

    url: of the API, without /v1. redis: a client of the queue. Every request through `http` may take three minutes.
    It ends with nothing left running in its Redis.
    """

    def __init__(self, folder: Path, *models: str, **settings: object) -> None:
        self._folder = folder
        self._models = models or (MODEL,)
        self.server = RedisServer(folder / "redis")
        self.redis: redis.Redis = connect(self.server.url)
        # A data folder has one agent, and stacks of several tests run at the same time.
        self._environ = {"MLXQ_DATA": str(folder / "data")}
        self._environ |= {f"MLXQ_{name.upper()}": str(value) for name, value in settings.items()}
        self._programs: list[Program] = []
        self._workers_were_killed = False
        self.http = httpx.Client(timeout=180)

    def __enter__(self) -> Self:
        try:
            self.server.start()
            self.worker = self.run("worker", *(each for model in self._models for each in ("--model", model)))
            self.api = self.run("serve", "--port", "0")
            self.url = self._url_of(self.api)
            wait_until(lambda: self.status("/ready") == 200, READY_S)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()
        for program in reversed(self._programs):
            program.stop()
        left: list[str] = []
        if kind is None and self.server.running:
            left += left_running(self.redis, workers_were_killed=self._workers_were_killed)
        self.redis.close()
        self.server.stop()
        assert not left, left

    def run(self, command: str, *options: str, **settings: object) -> Program:
        """`mlxq COMMAND`, joined to this Redis."""
        environ = self._environ | {f"MLXQ_{name.upper()}": str(value) for name, value in settings.items()}
        log = self._folder / f"{command}-{len(self._programs)}.log"
        program = Program(log, "-m", "cli.main", command, *options, REDIS_URL=self.server.url, **environ)
        self._programs.append(program)
        return program

    def serve(self, **settings: object) -> str:
        """One more API, on a free port; its URL."""
        return self._url_of(self.run("serve", "--port", "0", **settings))

    def _url_of(self, api: Program) -> str:
        url = api.wait_for(r"serves (http\S+),")[1]
        wait_until(lambda: self._get_status(f"{url}/health") == 200)
        return url

    def status(self, path: str) -> int:
        """HTTP status of a GET; 0 where nobody answers."""
        return self._get_status(f"{self.url}{path}")

    def _get_status(self, url: str) -> int:
        try:
            return self.http.get(url).status_code
        except httpx.TransportError:
            return 0

    def embed(self, text: str | list[str], **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(
            f"{self.url}/v1/embeddings", json={"model": MODEL, "input": text}, headers=named
        )

    def job(self, job_id: str, **query: object) -> dict[str, Any]:
        reply = self.http.get(f"{self.url}/v1/jobs/{job_id}", params={k: str(v) for k, v in query.items()})
        assert reply.status_code == 200, reply.text
        return reply.json()

    def newest_job(self, status: str) -> dict[str, Any] | None:
        jobs = self.http.get(f"{self.url}/v1/jobs", params={"status": status, "limit": 1}).json()["data"]
        return jobs[0] if jobs else None

    def kill_worker(self) -> None:
        """As the system's memory killer does: nothing of it is tidied up by itself."""
        self._workers_were_killed = True
        self.worker_process.kill()

    @property
    def worker_process(self) -> psutil.Process:
        """The process that owns the device, under its supervisor."""
        [process] = self.worker.children()
        return process

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """The worker lives, but claims nothing (as `rq suspend` does it)."""
        self.redis.set(keys.SUSPENDED, 1)
        try:
            wait_until(lambda: b"suspended" in self._worker_states())
            yield
        finally:
            self.redis.delete(keys.SUSPENDED)
            wait_until(lambda: b"suspended" not in self._worker_states())

    def _worker_states(self) -> list[bytes | None]:
        return [self.redis.hget(name, "state") for name in self.redis.smembers(keys.WORKERS)]  # pyright: ignore
