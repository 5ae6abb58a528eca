"""A TCP proxy that closes a connection from which nothing comes for a while, as HTTP proxies do."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit


class _Tunnel(socketserver.BaseRequestHandler):
    server: "_Proxy"

    def handle(self) -> None:
        with socket.create_connection(self.server.upstream) as upstream:
            threading.Thread(target=_pass_on, args=(self.request, upstream)).start()
            upstream.settimeout(self.server.silence_s)
            _pass_on(upstream, self.request)


class _Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128
    upstream: tuple[str, int]
    silence_s: float


@contextlib.contextmanager
def impatient_proxy(url: str, silence_s: float) -> Iterator[str]:
    """A URL that leads to the same server, unless that is silent for so long."""
    parts = urlsplit(url)
    assert parts.hostname and parts.port
    with _Proxy(("127.0.0.1", 0), _Tunnel) as proxy:
        proxy.upstream, proxy.silence_s = (parts.hostname, parts.port), silence_s
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_address[1]}"
        finally:
            proxy.shutdown()
            thread.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Until the source ends, or is silent for longer than its timeout."""
    with contextlib.suppress(OSError):
        while part := source.recv(1 << 16):
            target.sendall(part)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
