"""Which waiting items make the next batch. Pure decisions: no clock, no device, no Redis."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from jobs.job import LANES, Lane


class Waiting(Protocol):
    """One item that waits for the device."""

    @property
    def length(self) -> int:
        """Its tokens."""
        ...

    @property
    def order(self) -> int:
        """Smaller came earlier."""
        ...

    @property
    def lane(self) -> Lane:
        """That of its job."""
        ...


class BatchLimits(NamedTuple):
    """What one batch may hold."""

    tokens: int
    """Padded tokens, items * longest item (text-embeddings-inference: core/src/queue.rs)."""
    items: int
    """At most so many."""
    padding: float
    """Share of the padded tokens that may be padding."""
    free_padding: int
    """Padding tokens that cost less on this device than another launch. A batch that stays under four times as many
    tokens may hold them.
    """
    counts: tuple[int, ...] = ()
    """Numbers of items that a batch may have, ascending from 1. Empty: any number."""


ModelLane = tuple[str, Lane]


def choose_queue(
    oldest: Mapping[ModelLane, int], unserved_s: Mapping[ModelLane, float], starvation_s: float
) -> ModelLane | None:
    """The model and lane that lead the next batch: the highest lane, then whoever came first; unless one starves.

    oldest: the order of the first item of each (model, lane) with work. unserved_s: how long it has been in no batch.
    """
    if not oldest:
        return None
    first = min(oldest, key=lambda each: (LANES.index(each[1]), oldest[each]))
    behind = [each for each in oldest if LANES.index(each[1]) > LANES.index(first[1])]
    starving = [each for each in behind if unserved_s.get(each, 0.0) >= starvation_s]
    return max(starving, key=lambda each: unserved_s[each]) if starving else first


def pack(waiting: Sequence[Waiting], lane: Lane, limits: BatchLimits) -> list[int]:
    """Indices of the items of the next batch, shortest first.

    It holds the lane's oldest item, then its neighbours in length from the same lane, then from the lanes in order
    (top-up), as long as the limits hold. An item longer than `limits.tokens` goes alone.
    """
    head = min((n for n, item in enumerate(waiting) if item.lane is lane), key=lambda n: waiting[n].order)
    window = _Window(waiting[head].length, limits._replace(free_padding=0))
    chosen = [head]
    lanes = [lane, *(other for other in LANES if other is not lane)]
    by_lane: dict[Lane, list[int]] = {each: [] for each in lanes}
    for n, item in enumerate(waiting):
        if n != head:
            by_lane[item.lane].append(n)
    chosen += _fill(waiting, lanes, by_lane, window)
    if window.longest * window.count < 4 * limits.free_padding:
        window.limits = limits
        left = {each: [n for n in by_lane[each] if n not in set(chosen)] for each in lanes}
        chosen += _fill(waiting, lanes, left, window)
    return _trim(sorted(chosen, key=lambda n: waiting[n].length), head, limits.counts)


def _trim(chosen: list[int], head: int, counts: tuple[int, ...]) -> list[int]:
    """The largest allowed number of them; the longest go first, but not the head."""
    if not counts:
        return chosen
    spare = len(chosen) - max(count for count in counts if count <= len(chosen))
    while spare:
        left_out = chosen[-1] if chosen[-1] != head else chosen[0]
        chosen.remove(left_out)
        spare -= 1
    return chosen


class _Window:
    """The batch so far: as many items as long as the longest."""

    def __init__(self, length: int, limits: BatchLimits) -> None:
        self.limits = limits
        self.count, self.longest, self.total = 1, length, length

    @property
    def full(self) -> bool:
        limits = self.limits
        return self.count >= limits.items or self.longest * (self.count + 1) > limits.tokens

    def added_padding(self, length: int) -> int:
        if length <= self.longest:
            return self.longest - length
        return (length - self.longest) * self.count

    def admits(self, length: int) -> bool:
        longest, count = max(self.longest, length), self.count + 1
        padded = longest * count
        wasted = padded - self.total - length
        limits = self.limits
        return (
            count <= limits.items
            and padded <= limits.tokens
            and wasted <= max(limits.free_padding, limits.padding * padded)
        )

    def add(self, length: int) -> None:
        self.longest = max(self.longest, length)
        self.count += 1
        self.total += length


def _fill(
    waiting: Sequence[Waiting], lanes: Sequence[Lane], by_lane: Mapping[Lane, list[int]], window: _Window
) -> list[int]:
    chosen: list[int] = []
    for lane in lanes:
        if window.full:
            break
        chosen += _grow(waiting, by_lane[lane], window)
    return chosen


def _grow(waiting: Sequence[Waiting], candidates: list[int], window: _Window) -> list[int]:
    """Take candidates from both sides of the window's length, the side that adds less padding first."""
    candidates.sort(
        key=lambda n: (waiting[n].length, -waiting[n].order)
    )  # of equals, the left end meets the oldest
    right = _first_longer(waiting, candidates, window.longest)
    left = right - 1
    chosen: list[int] = []
    while left >= 0 or right < len(candidates):
        shorter = waiting[candidates[left]].length if left >= 0 else None
        longer = waiting[candidates[right]].length if right < len(candidates) else None
        take_left = longer is None or (
            shorter is not None and window.added_padding(shorter) <= window.added_padding(longer)
        )
        length = shorter if take_left else longer
        assert length is not None
        if window.admits(length):
            window.add(length)
            chosen.append(candidates[left if take_left else right])
        elif take_left:
            left = 0  # the ones further left waste more
        else:
            right = len(candidates)
        if take_left:
            left -= 1
        else:
            right += 1
    return chosen


def _first_longer(waiting: Sequence[Waiting], candidates: list[int], length: int) -> int:
    low, high = 0, len(candidates)
    while low < high:
        middle = (low + high) // 2
        if waiting[candidates[middle]].length > length:
            high = middle
        else:
            low = middle + 1
    return low
