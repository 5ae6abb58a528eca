"""Which waiting items make the next batch. Pure decisions: no clock, no device, no Redis."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

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

SMALL_TURNS = 2
"""So many batches in a row are led by small jobs, while larger ones wait; then one of those leads."""


class Candidate(NamedTuple):
    """A job with items that wait, which may lead the next batch."""

    model: str
    lane: Lane
    order: int
    """Smaller came earlier."""
    led: int
    """The number of the batch that it last led; 0 if it has led none."""
    is_small: bool
    """A batch holds all of it, and it has led none."""


def choose_leader(
    candidates: Sequence[Candidate],
    unserved_s: Mapping[ModelLane, float],
    *,
    starvation_s: float,
    small_turns: Mapping[Lane, int],
) -> Candidate | None:
    """Whose item leads the next batch: a job of the highest lane, unless a model's lane below it starves.

    In the lane, small jobs go first, in their order: they do not wait for large ones. The others take turns, and one of
    them leads each time when SMALL_TURNS batches were led by small ones.
    unserved_s: how long each (model, lane) has been in no batch. small_turns: by lane, how many batches in a row were
    led by small jobs while others waited.
    """
    if not candidates:
        return None
    highest = min(LANES.index(each.lane) for each in candidates)
    behind = {(each.model, each.lane) for each in candidates if LANES.index(each.lane) > highest}
    starving = [each for each in behind if unserved_s.get(each, 0.0) >= starvation_s]
    if starving:
        longest = max(starving, key=lambda each: unserved_s[each])
        eligible = [each for each in candidates if (each.model, each.lane) == longest]
    else:
        eligible = [each for each in candidates if each.lane is LANES[highest]]
    small = [each for each in eligible if each.is_small]
    others = [each for each in eligible if not each.is_small]
    if small and (not others or small_turns[small[0].lane] < SMALL_TURNS):
        return min(small, key=lambda each: each.order)
    return min(others, key=lambda each: (each.led, each.order))


Item = TypeVar("Item", bound=Waiting)


def pack(head: Item, groups: Sequence[Sequence[Item]], limits: BatchLimits) -> list[Item]:
    """The items of the next batch, shortest first.

    It holds the head, then its neighbours in length from each group in order, as long as the limits hold. A head that
    is longer than `limits.tokens` goes alone. groups: what waits, without the head.
    """
    window = _Window(head.length, limits._replace(free_padding=0))
    chosen = [head]
    for group in groups:
        chosen += _grow(group, window)
    if window.longest * window.count < 4 * limits.free_padding:
        window.limits = limits
        taken = set(map(id, chosen))
        for group in groups:
            chosen += _grow([item for item in group if id(item) not in taken], window)
    return _trim(sorted(chosen, key=lambda item: item.length), head, limits.counts)


def _trim(chosen: list[Item], head: Item, counts: tuple[int, ...]) -> list[Item]:
    """The largest allowed number of them; the longest go first, but not the head."""
    if not counts:
        return chosen
    spare = len(chosen) - max(count for count in counts if count <= len(chosen))
    while spare:
        del chosen[-1 if chosen[-1] is not head else 0]
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


def _grow(group: Sequence[Item], window: _Window) -> list[Item]:
    """Take items from both sides of the window's length, the side that adds less padding first."""
    if window.full:
        return []
    # Of equals, the left end meets the oldest.
    candidates = sorted(group, key=lambda item: (item.length, -item.order))
    right = _first_longer(candidates, window.longest)
    left = right - 1
    chosen: list[Item] = []
    while (left >= 0 or right < len(candidates)) and not window.full:
        shorter = candidates[left].length if left >= 0 else None
        longer = candidates[right].length if right < len(candidates) else None
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


def _first_longer(candidates: Sequence[Waiting], length: int) -> int:
    low, high = 0, len(candidates)
    while low < high:
        middle = (low + high) // 2
        if candidates[middle].length > length:
            high = middle
        else:
            low = middle + 1
    return low
