"""Images that callers name by address: fetched under guard, and checked before a worker decodes them."""

from api.fetch.fetcher import Fetcher
from api.fetch.image_check import ImageChecker
from jobs.settings import Settings


class GuardedImageSource:
    """The ImageSource (api.requests.images) in service. One per process; close it with `aclose`."""

    def __init__(self, settings: Settings) -> None:
        self._fetcher = Fetcher(settings)
        self._checker = ImageChecker(settings)

    async def fetch(self, url: str, *, param: str) -> bytes:
        """As Fetcher.fetch, which says what is raised."""
        return await self._fetcher.fetch(url, param=param)

    async def check(self, data: bytes, *, param: str) -> None:
        """As check_image, which says what is raised."""
        await self._checker.check(data, param=param)

    async def aclose(self) -> None:
        """Ends the threads of both."""
        await self._fetcher.aclose()
        self._checker.close()
