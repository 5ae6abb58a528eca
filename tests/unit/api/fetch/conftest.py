"""A real server on 127.0.0.1, which is no public address: each test says what it allows."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest

from api.fetch.fetcher import Fetcher
from api.fetch.resolver import Resolver
from jobs.errors import InvalidInput
from jobs.settings import Settings
from tests.support.web import Names, Web, serve

HOME = "127.0.0.1"
MEGA = 1_000_000
PRIVATE = "not on the public internet"

MakeFetcher = Callable[..., Fetcher]


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with serve(Web()) as web:
        yield web


@pytest.fixture
async def make() -> AsyncIterator[MakeFetcher]:
    async with AsyncExitStack() as fetchers:

        def make_fetcher(
            *allow: str, names: dict[str, Sequence[Sequence[str]]] | Resolver | None = None, **settings: Any
        ) -> Fetcher:
            resolver = names if isinstance(names, Resolver) else Names(names or {})
            fetcher = Fetcher(Settings(fetch_allow=allow, **settings), resolver)
            fetchers.push_async_callback(fetcher.aclose)
            return fetcher

        yield make_fetcher


async def refusal(fetcher: Fetcher, url: str) -> str:
    with pytest.raises(InvalidInput) as refused:
        await fetcher.fetch(url, param="image_url")
    assert refused.value.param == "image_url"
    return refused.value.message
