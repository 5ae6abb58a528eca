"""Which models are in memory: what to load next, and what makes room for it. Pure decisions: no clock, no device."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jobs.job import LANES, Lane

IDLE_KEEP = 1
"""A model without work stays for this many times as long as loading it took, also where another one is wanted: its next
caller may just be on the way.
"""

BUSY_KEEP = 4
"""A model with work stays for this many times as long as loading it took: no more than a fifth of
the time goes to loading.
"""


class CachedModel(NamedTuple):
    """A model in memory. Times are in seconds of one clock."""

    size_bytes: int
    lane: Lane | None
    """The highest of its waiting and running work; None if there is none."""
    loaded_at: float
    load_s: float
    """How long loading it took."""
    used_at: float
    expires_at: float = math.inf
    """When it leaves if nobody uses it."""


class WantedModel(NamedTuple):
    """A model that has work and is not in memory."""

    model: str
    size_bytes: int
    lane: Lane
    """The highest of its waiting work."""
    since: float
    """When its work was first seen."""
    elsewhere: bool = False
    """Another worker has it in memory, so the work may be done before this one had loaded it."""

    def starves(self, starvation_s: float, now: float) -> bool:
        """Whether it has waited so long that it goes before all others."""
        return now - self.since >= starvation_s


class ModelChange(NamedTuple):
    """What is to leave the memory, then what is to come in."""

    load: str | None
    unload: tuple[str, ...]


def choose_change(
    cached: Mapping[str, CachedModel],
    wanted: Sequence[WantedModel],
    *,
    budget_bytes: int,
    starvation_s: float,
    now: float,
) -> ModelChange | None:
    """The next change, or None while everything stays as it is.

    The model with the highest lane comes first, then the one that waits longest; one that waits for starvation_s goes
    before all others. Where it cannot come yet, another may, for which nobody has to leave. Models without work leave
    first, the least recently used before the others; then those whose work is of a lower lane, or, if the wanted one
    starves, any that has stayed long enough. What nobody wants leaves when it expires.
    """
    real = [each for each in wanted if not each.elsewhere or each.starves(starvation_s, now)]
    real.sort(key=lambda each: _urgency(each, starvation_s, now))
    for each in real:
        victims = _victims(cached, each, budget_bytes, starvation_s, now)
        if victims is not None and (not victims or each is real[0]):
            return ModelChange(each.model, victims)
    expired = tuple(model for model, each in cached.items() if each.lane is None and each.expires_at <= now)
    return ModelChange(None, expired) if expired else None


def _urgency(wanted: WantedModel, starvation_s: float, now: float) -> tuple[int, float]:
    return (-1 if wanted.starves(starvation_s, now) else LANES.index(wanted.lane), wanted.since)


def _victims(
    cached: Mapping[str, CachedModel], wanted: WantedModel, budget_bytes: int, starvation_s: float, now: float
) -> tuple[str, ...] | None:
    """Who leaves to make room; None if those who may leave do not make enough."""
    free = budget_bytes - sum(each.size_bytes for each in cached.values())
    leaving: list[str] = []
    for model in sorted(cached, key=lambda each: _order_of_leaving(cached[each])):
        if free >= wanted.size_bytes:
            break
        if _may_leave(cached[model], wanted, starvation_s, now):
            leaving.append(model)
            free += cached[model].size_bytes
    return tuple(leaving) if free >= wanted.size_bytes else None


def _order_of_leaving(model: CachedModel) -> tuple[int, float]:
    """Idle models first, then those with the lowest lane; the least recently used first."""
    return (-len(LANES) if model.lane is None else -LANES.index(model.lane), model.used_at)


def _may_leave(model: CachedModel, wanted: WantedModel, starvation_s: float, now: float) -> bool:
    stayed_s = now - model.loaded_at
    if model.lane is None:
        return stayed_s >= IDLE_KEEP * model.load_s
    matters_less = LANES.index(model.lane) > LANES.index(wanted.lane)
    return (matters_less or wanted.starves(starvation_s, now)) and stayed_s >= BUSY_KEEP * model.load_s
