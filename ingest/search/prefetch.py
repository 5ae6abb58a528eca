"""How many pages a search by tiles hands on to be scored exactly."""

SMALL = 500
"""Among so few pages every one is scored: that takes no longer."""

LEAST, PER_HIT = 100, 10
SHARE = 25
"""One in so many pages of a large collection."""

MOST = 1000


def prefetched(points: int, limit: int) -> int | None:
    """None: all of them are scored. points: those that the filter lets pass. limit: hits wanted."""
    if points <= SMALL:
        return None
    return min(points, max(LEAST, PER_HIT * limit, min(MOST, points // SHARE)))
