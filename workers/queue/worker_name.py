"""Names of workers, which tell the machine."""

import socket


def worker_name(pid: int, token: str) -> str:
    """token: of the launcher that started the process; pids alone are the same in many containers."""
    return f"{socket.gethostname()}.{pid}.{token}"


def machine_of(worker: str) -> str:
    """Where a worker of that name runs. A name that was not made here is taken for a machine of its own."""
    return worker.rsplit(".", 2)[0]


def this_machine() -> str:
    """As names of its workers begin."""
    return socket.gethostname()
