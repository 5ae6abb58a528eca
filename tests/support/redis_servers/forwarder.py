"""A name that leads to a server: to another one when told so, with TLS, or to nobody any more."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Address = tuple[str, int] | Path


class Forwarder:
    """Takes connections on a port of its own. target: where new ones lead; those that are there stay where they are.

    swallows: nothing comes through in either direction, and no connection ends, as behind a broken firewall.
    """

    def __init__(self, target: Address, tls: ssl.SSLContext | None = None) -> None:
        self.target = target
        self.swallows = False
        self._tls = tls
        self._server = socket.create_server(("127.0.0.1", 0), backlog=100)
        self._ends: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.port: int = self._server.getsockname()[1]
        self._spawn(self._serve)

    def close(self) -> None:
        """Ends all connections."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for end in list(self._ends):
            _end(end)
        for thread in self._threads:
            thread.join()

    def _spawn(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self._spawn(self._join, client)

    def _join(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, _connect(self.target) as server:
            if self._tls is None:
                self._pump_both(client, server)
                return
            with self._tls.wrap_socket(client, server_side=True) as wrapped:
                self._pump_both(wrapped, server)

    def _pump_both(self, client: socket.socket, server: socket.socket) -> None:
        self._ends |= {client, server}
        back = self._spawn(self._pump, server, client)
        self._pump(client, server)
        back.join()
        self._ends -= {client, server}

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(1 << 16):
                if not self.swallows:
                    sink.sendall(chunk)
        _end(source)
        _end(sink)


@contextmanager
def forwarding(target: Address, tls: ssl.SSLContext | None = None) -> Iterator[Forwarder]:
    forwarder = Forwarder(target, tls)
    try:
        yield forwarder
    finally:
        forwarder.close()


def _connect(target: Address) -> socket.socket:
    if not isinstance(target, Path):
        return socket.create_connection(target)
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(str(target))
    except OSError:
        server.close()
        raise
    return server


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
