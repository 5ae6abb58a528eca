"""The one place that fetches a URL which a caller named."""

import asyncio
from typing import TYPE_CHECKING

from api.fetch.resolver import Resolver
from jobs.errors import InvalidInput, Overloaded
from jobs.hosts.allow_list import AllowList
from jobs.settings import Settings

if TYPE_CHECKING:
    from api.fetch.download import Downloader

# Bounds the memory of what is under way: this many times settings.fetch_max_bytes.
_MAX_DOWNLOADS = 32


class Fetcher:
    """Fetches from public hosts, and from those in settings.fetch_allow.

    Every host and every redirect is checked, after its name was resolved, and connected to by the checked addresses.
    Sizes, times and redirects are bounded. Proxies of the environment are not used: they would resolve the name
    themselves. docs/operations.md lists the rules.
    """

    def __init__(self, settings: Settings, resolver: Resolver | None = None) -> None:
        self._settings = settings
        self._resolver = resolver or Resolver()
        self._downloads = asyncio.Semaphore(_MAX_DOWNLOADS)
        self._downloader: Downloader | None = None

    async def fetch(self, url: str, *, param: str) -> bytes:
        """The content of a URL. param: the request's field that named it.

        Raises: InvalidInput for everything that another URL would mend; Overloaded while too many are under way.
        """
        from api.fetch.fetch_url import CannotFetch

        try:
            async with asyncio.timeout(self._settings.fetch_timeout_s):
                await self._downloads.acquire()
        except TimeoutError as error:
            raise Overloaded("Too many downloads are under way. Try again later.", param=param) from error
        try:
            return await self._open().download(url)
        except CannotFetch as error:
            raise InvalidInput(error.message, param=param) from error
        finally:
            self._downloads.release()

    async def aclose(self) -> None:
        """Ends the resolver's threads."""
        self._resolver.close()

    def _open(self) -> "Downloader":
        """At first use: the HTTP client and its certificates would slow down the start of every API process."""
        if self._downloader is None:
            from api.fetch.checked_backend import CheckedBackend
            from api.fetch.download import Downloader

            self._downloader = Downloader(
                CheckedBackend(AllowList(self._settings.fetch_allow), self._resolver),
                max_bytes=self._settings.fetch_max_bytes,
                timeout_s=self._settings.fetch_timeout_s,
            )
        return self._downloader
