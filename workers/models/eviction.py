"""Which models are in memory: what to load next, and what makes room for it. Pure decisions: no clock, no device."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jobs.job import LANES, Lane

LINGER = 1
"""A model without work stays for this many times as long as loading it took, also where another one is wanted: its
next caller may just be on the way.
"""

TURN = 4
"""A model with work stays for this many times as long as loading it took: no more than a fifth of
the time goes to loading.
"""


class Place(NamedTuple):
    """A model in memory. Times in seconds of one clock.

    lane: the highest of its waiting and running work, None if there is none. load_s: how long loading it took.
    """

    size_bytes: int
    lane: Lane | None
    loaded_at: float
    load_s: float
    used_at: float
    expires_at: float = math.inf


class Want(NamedTuple):
    """A model that is not in memory. lane: the highest of its waiting work. since: when that was first seen.

    elsewhere: another worker has it in memory, so the work may be done before this one had loaded it.
    """

    model: str
    size_bytes: int
    lane: Lane
    since: float
    elsewhere: bool = False

    def starves(self, starvation_s: float, now: float) -> bool:
        return now - self.since >= starvation_s


class Change(NamedTuple):
    """What is to leave the memory, then what is to come in."""

    load: str | None
    unload: tuple[str, ...]


def choose_change(
    places: Mapping[str, Place], wants: Sequence[Want], *, budget_bytes: int, starvation_s: float, now: float
) -> Change | None:
    """The next change, or None while everything stays as it is.

    The model with the highest lane comes first, then the one that waits longest; one that waits for starvation_s goes
    before all others. Where it cannot come yet, another may, for which nobody has to leave. Room is made by models
    without work, least recently used first; then by those whose work is of a lower lane, or, if the wanted one starves,
    by any that has had its turn. What nobody wants leaves when it expires.
    """
    real = [each for each in wants if not each.elsewhere or each.starves(starvation_s, now)]
    real.sort(key=lambda each: _urgency(each, starvation_s, now))
    for want in real:
        victims = _victims(places, want, budget_bytes, starvation_s, now)
        if victims is not None and (not victims or want is real[0]):
            return Change(want.model, victims)
    expired = tuple(model for model, each in places.items() if each.lane is None and each.expires_at <= now)
    return Change(None, expired) if expired else None


def _urgency(want: Want, starvation_s: float, now: float) -> tuple[int, float]:
    return (-1 if want.starves(starvation_s, now) else LANES.index(want.lane), want.since)


def _victims(
    places: Mapping[str, Place], want: Want, budget_bytes: int, starvation_s: float, now: float
) -> tuple[str, ...] | None:
    """Who leaves to make room; None if those who may leave do not make enough."""
    free = budget_bytes - sum(each.size_bytes for each in places.values())
    leaving: list[str] = []
    for model in sorted(places, key=lambda each: _order_of_leaving(places[each])):
        if free >= want.size_bytes:
            break
        if _may_leave(places[model], want, starvation_s, now):
            leaving.append(model)
            free += places[model].size_bytes
    return tuple(leaving) if free >= want.size_bytes else None


def _order_of_leaving(place: Place) -> tuple[int, float]:
    """Idle models first, then those with the lowest lane; the least recently used first."""
    return (-len(LANES) if place.lane is None else -LANES.index(place.lane), place.used_at)


def _may_leave(place: Place, want: Want, starvation_s: float, now: float) -> bool:
    stayed_s = now - place.loaded_at
    if place.lane is None:
        return stayed_s >= LINGER * place.load_s
    matters_less = LANES.index(place.lane) > LANES.index(want.lane)
    return (matters_less or want.starves(starvation_s, now)) and stayed_s >= TURN * place.load_s
