"""How httpcore connects when a caller chose the host: only to addresses that were checked."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import cast

import httpcore2

from api.fetch.addresses import destination, is_public
from api.fetch.resolver import Resolver
from jobs.hosts.allow_list import AllowList


class HostRefused(Exception):
    """The host has an address that is not public."""


class HostUnknown(Exception):
    """The host's name has no address."""


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Resolves a host once, checks every address it has, and connects to these addresses and not to the name.

    A name is never resolved a second time for the same connection, so an answer that changes after the check
    (DNS rebinding) changes nothing. Host header and TLS server name stay those of the URL: they are set above this.
    """

    def __init__(self, allow: AllowList, resolver: Resolver) -> None:
        self._allow = allow
        self._resolver = resolver
        # cast: httpcore also has a stand-in of this name, for when anyio is missing
        self._network = cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """timeout: seconds for each address; they are tried in turn.

        Raises: HostRefused, HostUnknown, and httpcore's ConnectError and ConnectTimeout of the last address.
        """
        failure: Exception = HostUnknown()
        for address in await self._checked(host, port):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _checked(self, host: str, port: int) -> Sequence[str]:
        addresses = await self._resolve(host, port)
        for text in addresses:
            reached = destination(ip_address(text))
            if not is_public(reached) and not self._allow.allows(host, port, reached):
                raise HostRefused
        return addresses

    async def _resolve(self, host: str, port: int) -> Sequence[str]:
        try:
            return (str(ip_address(host)),)
        except ValueError:
            pass
        try:
            return await self._resolver.resolve(host, port)
        except OSError as error:
            raise HostUnknown from error
