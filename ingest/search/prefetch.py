"""How many pages a search of a large collection hands on from one stage to the next."""

from typing import NamedTuple

SMALL = 500
"""Among so few pages every one is scored: that takes no longer."""

LEAST, PER_HIT = 100, 10
SHARE = 25
"""One in so many pages of a large collection is scored exactly."""

MOST = 1000

MANY = 5000
"""From so many pages on, regions choose those whose tiles are looked at."""

REGIONS_SHARE = 4
"""One in so many."""


class Prefetched(NamedTuple):
    """Pages that each stage hands on."""

    by_regions: int | None
    """To those that look at tiles. None: the tiles of all pages are looked at."""
    by_tiles: int
    """To be scored exactly."""


def prefetched(points: int, limit: int) -> Prefetched | None:
    """None: all of them are scored. points: those that the filter lets pass. limit: hits wanted."""
    if points <= SMALL:
        return None
    by_tiles = min(points, max(LEAST, PER_HIT * limit, min(MOST, points // SHARE)))
    by_regions = max(by_tiles, points // REGIONS_SHARE) if points >= MANY else None
    return Prefetched(by_regions, by_tiles)
