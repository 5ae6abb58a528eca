"""The children of `mlxq`: what they are started with."""

import asyncio
import secrets
import socket
import sys

from cli.configuration import child_environ
from jobs.process.parent_watch import ParentPipe
from jobs.process.processor import NICE
from jobs.settings import Settings
from workers.openblas.preload import preload_openblas
from workers.queue.dead_worker import free_leases
from workers.queue.worker_name import worker_name
from workers.supervisor import Supervisor

# -P keeps the user's folder out of sys.path, where an `api` or a `jobs` of their own may lie.
_PYTHON = (sys.executable, "-P", "-m")


def api_supervisors(
    settings: Settings, listener: socket.socket, large_listener: socket.socket, pipe: ParentPipe
) -> list[Supervisor]:
    """One per API process, and one for all their requests with large bodies. The former share the listening socket: the
    kernel spreads the connections.
    """
    port = large_listener.getsockname()[1]
    names = [f"API process {number}" for number in range(1, settings.api_processes + 1)]
    found = [_api_supervisor(name, settings, listener, pipe, "--large-port", f"{port}") for name in names]
    nice = ("--nice", f"{NICE}")
    return [*found, _api_supervisor("API process for large bodies", settings, large_listener, pipe, *nice)]


def _api_supervisor(
    name: str, settings: Settings, listener: socket.socket, pipe: ParentPipe, *options: str
) -> Supervisor:
    listen_fd, parent_fd = listener.fileno(), pipe.read_fd
    command = (
        *_PYTHON,
        "cli.api_process",
        "--listen-fd",
        f"{listen_fd}",
        "--parent-fd",
        f"{parent_fd}",
        *options,
    )
    return Supervisor(name, command, child_environ(settings), pass_fds=(listen_fd, parent_fd), stop_s=10)


def worker_supervisor(settings: Settings, pipe: ParentPipe) -> Supervisor:
    """The worker may finish its batch before it stops, so it gets as long as a batch may take. If it dies, the jobs it
    had claimed go back to their queues at once.
    """
    token = secrets.token_hex(4)

    async def free(pid: int) -> None:
        await asyncio.to_thread(free_leases, settings, worker_name(pid, token))

    return Supervisor(
        "worker",
        (*_PYTHON, "workers", "--parent-fd", f"{pipe.read_fd}", "--token", token),
        preload_openblas(child_environ(settings)),
        pass_fds=(pipe.read_fd,),
        stop_s=settings.batch_timeout_s,
        on_death=free,
    )


def store_supervisor(settings: Settings, listener: socket.socket | None, pipe: ParentPipe) -> Supervisor:
    """The embedded vector store. listener: where it answers besides its socket in the data folder."""
    fds = [pipe.read_fd]
    options: list[str] = []
    if listener is not None:
        fds.append(listener.fileno())
        options = ["--listen-fd", f"{listener.fileno()}"]
    return Supervisor(
        "vector store",
        (*_PYTHON, "cli.store_process", "--parent-fd", f"{pipe.read_fd}", *options),
        child_environ(settings),
        pass_fds=fds,
        stop_s=30,
    )
