"""The listening socket, opened once by the parent and shared by all API processes."""

import socket


def listen(host: str, port: int) -> socket.socket:
    """Raises: OSError that names the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise OSError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. Choose another with --host or --port."
        ) from error


def listen_locally() -> socket.socket:
    """On a free port of this machine, for other processes of ours."""
    return listen("127.0.0.1", 0)


def local_url(listener: socket.socket) -> str:
    """Where a client on this machine reaches it: a wildcard address becomes the loopback one."""
    host: str
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
