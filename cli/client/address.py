"""Where the server is that a command speaks with."""

import os
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from cli.cannot_do import CannotDo

_HERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses to listen on that are none to connect to."""


class Address(NamedTuple):
    scheme: str
    host: str
    port: int
    path: str = ""
    """Put before every path; without a slash at its end."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def server_address(url: str | None, environ: Mapping[str, str] | None = None) -> Address:
    """url: of --url, such as http://host:8000 or host:8000. Without it MLXQ_HOST and MLXQ_PORT say where `mlxq up`
    listens. environ: the process's own if None.

    Raises CannotDo.
    """
    if url:
        return _parsed(url)
    environ = os.environ if environ is None else environ
    host = environ.get("MLXQ_HOST", "").strip("[]")
    port = environ.get("MLXQ_PORT") or "8000"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise CannotDo(f"MLXQ_PORT={port} is no port to connect to. Say where the server is: --url URL.")
    return Address("http", _HERE.get(host, host), int(port))


def _parsed(url: str) -> Address:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port
    except ValueError as error:
        raise CannotDo(f"--url {url}: {error}.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
        raise CannotDo(f"--url {url} is not of the form http://host:8000.")
    default = 443 if parts.scheme == "https" else 80 if "://" in url else 8000
    return Address(parts.scheme, parts.hostname, port or default, parts.path.rstrip("/"))
