"""Hosts that may be fetched from although their addresses are not public: the grammar of MLXQ_FETCH_ALLOW."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import msgspec

_ENTRY = re.compile(r"(?P<host>[^\s:/\[\]]+|\[[0-9a-fA-F:.]+\])(:(?P<port>[0-9]{1,5}))?")
_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_MAX_PORT = 65_535


class _Entry(msgspec.Struct, frozen=True):
    """One of name and network is set."""

    name: str | None = None
    network: IPv4Network | IPv6Network | None = None
    port: int | None = None
    """None for any."""


class AllowList:
    """Networks ("10.0.0.0/8"), addresses ("10.0.0.5", "fd00::5") and names ("media.local") of hosts.

    Addresses and names may have a port ("media.local:8080", "[fd00::5]:8080"), and then mean that one alone.
    Raises: ValueError, which names the entry that is none of these.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries = tuple(map(_read, entries))

    def allows(self, host: str, port: int, address: IPv4Address | IPv6Address) -> bool:
        """Whether `address`, which `host` was resolved to, may be connected to on `port`."""
        name = host.lower().removesuffix(".")
        return any(
            entry.port in (None, port)
            and (entry.name == name if entry.network is None else address in entry.network)
            for entry in self._entries
        )


def _read(text: str) -> _Entry:
    if "/" in text:
        return _Entry(network=ip_network(text))  # its error names the text
    if (address := _network(text)) is not None:
        return _Entry(network=address)
    found = _ENTRY.fullmatch(text)
    if found is None or not 1 <= int(found["port"] or 1) <= _MAX_PORT:
        raise ValueError(_complaint(text))
    host, port = found["host"].lower(), int(found["port"]) if found["port"] else None
    if (address := _network(host.strip("[]"))) is not None:
        return _Entry(network=address, port=port)
    if _NAME.fullmatch(host) is None:
        raise ValueError(_complaint(text))
    return _Entry(name=host, port=port)


def _network(text: str) -> IPv4Network | IPv6Network | None:
    """The network of one address; None for what is no address."""
    try:
        return ip_network(ip_address(text))
    except ValueError:
        return None


def _complaint(text: str) -> str:
    return f"{text!r} is no host, host:port or network, such as 'media.local:8080' or '10.0.0.0/8'"
