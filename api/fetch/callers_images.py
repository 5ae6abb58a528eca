"""Pictures of callers: fetched under guard, and looked at before a worker decodes them."""

from api.fetch.fetcher import Fetcher
from api.fetch.pictures import Pictures
from jobs.settings import Settings


class CallersImages:
    """What api.requests.images.load_images asks for. One per process; close it with `aclose`."""

    def __init__(self, settings: Settings) -> None:
        self._fetcher = Fetcher(settings)
        self._pictures = Pictures(settings)

    async def fetch(self, url: str, *, param: str) -> bytes:
        return await self._fetcher.fetch(url, param=param)

    async def check(self, data: bytes, *, param: str) -> None:
        await self._pictures.check(data, param=param)

    async def aclose(self) -> None:
        await self._fetcher.aclose()
        self._pictures.close()
