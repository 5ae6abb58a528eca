"""The names of this server that browsers may use."""

import ipaddress
import socket

from starlette.requests import Request

from api.errors import RequestError


class UnknownHost(RequestError):
    """Browsers get no answer under this name. Use the address, or name the host in MLXQ_UI_HOSTS."""

    status = 403
    code = "unknown_host"


class Hosts:
    """The names that browsers are answered under: addresses, this machine's own names, and those that are allowed.

    A page of a foreign name could else be pointed at our address (DNS rebinding), and read documents.
    """

    def __init__(self, allowed: tuple[str, ...] = ()) -> None:
        own = socket.gethostname().lower()
        self._names = {"localhost", own, own.partition(".")[0], f"{own.partition('.')[0]}.local"}
        self._names |= {each.lower() for each in allowed}

    def check(self, request: Request) -> None:
        """Raises UnknownHost."""
        name = (request.url.hostname or "").lower().rstrip(".")
        if name not in self._names and not name.endswith(".localhost") and not _is_address(name):
            raise UnknownHost


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
