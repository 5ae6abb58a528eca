"""All that an ingest talks to, each in a process of its own that is started again when it dies, as `mlxq up` does."""

import asyncio
import contextlib
import os
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from cli.configuration import child_environ
from cli.processes.own_redis import keep_running
from cli.processes.supervisors import store_supervisor
from ingest.qdrant.folder import vector_folder
from jobs.process.cancelling import cancel_and_wait
from jobs.process.parent_watch import ParentPipe
from jobs.settings import Settings
from jobs.store.redis_server import RedisServer
from workers.queue.dead_worker import free_leases
from workers.queue.worker_name import worker_name
from workers.supervisor import Supervisor

POLL_S = 0.05


class IngestSite:
    """A folder with Redis, a store and a worker. settings.data: the folder."""

    def __init__(
        self, settings: Settings, *, calls: Path | None = None, worker: Supervisor | None = None
    ) -> None:
        """calls: where the worker notes what it computes. worker: instead of the one that computes nothing."""
        self.settings = settings
        self.redis = RedisServer(settings.data / "redis")
        self._pipe = ParentPipe()
        self.store = store_supervisor(settings, None, self._pipe)
        self.worker = worker or self._worker(calls)
        self._tasks: list[asyncio.Task[object]] = []

    @property
    def environ(self) -> Mapping[str, str]:
        """Of processes that belong to it."""
        return child_environ(self.settings)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["IngestSite"]:
        """Redis and the store answer; the worker starts."""
        await asyncio.to_thread(self.redis.start)
        keeping = asyncio.create_task(keep_running(self.redis))
        supervising = [asyncio.create_task(each.run()) for each in (self.store, self.worker)]
        try:
            while not vector_folder(self.settings).is_served():
                await asyncio.sleep(POLL_S)
            yield self
        finally:
            self.worker.stop()
            self.store.stop()
            await asyncio.gather(*supervising)
            await cancel_and_wait(keeping)
            await asyncio.to_thread(self.redis.stop)
            self._pipe.close()

    @contextlib.asynccontextmanager
    async def ingest(
        self, *arguments: str, module: str = "bench.ingest.ingest_process"
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """`python -m MODULE …`, whose output can be read. It is killed in the end."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", module, *arguments,
            env=self.environ, stdout=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _worker(self, calls: Path | None) -> Supervisor:
        token = secrets.token_hex(4)

        async def free(pid: int) -> None:
            await asyncio.to_thread(free_leases, self.settings, worker_name(pid, token))

        command = (
            sys.executable, "-P", "-m", "bench.ingest.noop_worker",
            "--parent-fd", f"{self._pipe.read_fd}", "--token", token,
            *(() if calls is None else ("--calls", str(calls))),
        )  # fmt: skip
        return Supervisor(
            "worker",
            command,
            {**os.environ, **self.environ},
            pass_fds=(self._pipe.read_fd,),
            stop_s=20,
            on_death=free,
        )
