"""A master, its replica and three sentinels: real processes on ports of this machine."""

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from jobs.store.connection import connect
from jobs.store.redis_server import find_binary
from tests.support.waiting import wait_until

SERVICE = "mlxq"
SILENT_MS = 1000
"""A master that is silent for so long counts as dead."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Process:
    """A Redis on a port. It may be killed, and started again on its files."""

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir()
        self._folder = folder
        self._options = options
        self.port = free_port()
        self.start()

    def start(self) -> None:
        command = [
            find_binary(),
            *self._options,
            "--port",
            str(self.port),
            "--dir",
            self._folder,
            "--save",
            "",
        ]
        with (self._folder / "log").open("a") as log:
            self._process = subprocess.Popen(command, stdout=log)
        wait_until(self._answers)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def client(self) -> redis.Redis:
        return connect(self.url)

    def info(self) -> dict[str, Any]:
        with self.client() as client:
            return client.info("replication")  # pyright: ignore[reportReturnType]

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError), self.client() as client:
            return bool(client.ping())
        return False


class Group:
    """url: of the service, by all sentinels."""

    def __init__(self, folder: Path) -> None:
        self.master = Process(folder / "master")
        self.replica = Process(folder / "replica", "--replicaof", f"127.0.0.1 {self.master.port}")
        self.sentinels: list[Process] = []
        wait_until(lambda: self.master.info().get("slave0", {}).get("state") == "online")
        for number in range(3):
            self.sentinels.append(self._sentinel(folder / f"sentinel-{number}"))
        addresses = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        self.url = f"redis+sentinel://{addresses}/{SERVICE}"
        wait_until(self._is_complete)

    def close(self) -> None:
        for process in (*self.sentinels, self.replica, self.master):
            process.kill()

    def master_port(self) -> int:
        """Of the master that the first sentinel names."""
        with self.sentinels[0].client() as sentinel:
            return int(_master(sentinel)["port"])

    def fail_over(self) -> None:
        """As an operator does for maintenance: both servers live, and change their roles."""
        before = self.master_port()
        with self.sentinels[0].client() as sentinel:
            sentinel.execute_command("SENTINEL", "FAILOVER", SERVICE)
        wait_until(lambda: self.master_port() != before)

    def _sentinel(self, folder: Path) -> Process:
        settings = folder.with_suffix(".conf")
        settings.write_text(
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.master.port} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} {SILENT_MS}\n"
            f"sentinel failover-timeout {SERVICE} 5000\n"
        )
        return Process(folder, str(settings), "--sentinel")

    def _is_complete(self) -> bool:
        """Whether each sentinel knows the others and the replica."""
        for process in self.sentinels:
            with process.client() as sentinel:
                found = _master(sentinel)
            if (found["num-other-sentinels"], found["num-slaves"]) != (2, 1):
                return False
        return True


@contextmanager
def redis_group(folder: Path) -> Iterator[Group]:
    group = Group(folder)
    try:
        yield group
    finally:
        group.close()


def _master(sentinel: redis.Redis) -> dict[str, Any]:
    found: Any = sentinel.sentinel_master(SERVICE)
    return found
