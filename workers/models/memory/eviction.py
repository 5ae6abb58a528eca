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


PATIENCE = {Lane.INTERACTIVE: 1, Lane.DEFAULT: 12, Lane.BULK: 60}
"""Work that has no time limit of its own for its wait waits for so many times the starvation bound before it takes the
memory from work of a higher lane: with 5 s, bulk work for five minutes.
"""

IN_USE = 6
"""A model counts as used by a lane for so many times the starvation bound after its last job: with 5 s, for half a
minute. Somebody who chats reads an answer before asking again.
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
    used_by: Lane | None = None
    """The highest lane that has used it lately; None if none has."""

    @property
    def rank(self) -> int:
        """Of the highest lane that it serves; smaller is higher."""
        return min(len(LANES) if each is None else LANES.index(each) for each in (self.lane, self.used_by))


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
    due_at: float = math.inf
    """From then on it must be loaded, or its work would not be begun in time."""

    def starves(self, starvation_s: float, now: float) -> bool:
        """Whether it has waited so long that it is loaded before all others."""
        return now - self.since >= starvation_s or self.is_due(now)

    def is_due(self, now: float) -> bool:
        """Whether it may take the memory from work of a higher lane."""
        return now >= self.due_at


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
    starves, of its own lane. Work of a higher lane keeps its model, also between two jobs, until the wanted one is due.
    All stay for a time after they were loaded. What nobody wants leaves when it expires.
    """
    real = [each for each in wanted if not each.elsewhere or each.starves(starvation_s, now)]
    real.sort(key=lambda each: _urgency(each, starvation_s, now))
    is_first = True
    for each in real:
        weaker = {model: it for model, it in cached.items() if _gives_way(it, each, starvation_s, now)}
        free = budget_bytes - sum(it.size_bytes for it in cached.values())
        victims = _victims(weaker, each.size_bytes - free, now)
        if victims is not None and (not victims or is_first):
            return ModelChange(each.model, victims)
        # The others make room for nobody else while those that will make room for this one have not stayed long enough.
        is_first = is_first and sum(it.size_bytes for it in weaker.values()) < each.size_bytes - free
    expired = tuple(model for model, each in cached.items() if each.lane is None and each.expires_at <= now)
    return ModelChange(None, expired) if expired else None


def _urgency(wanted: WantedModel, starvation_s: float, now: float) -> tuple[int, float]:
    return (-1 if wanted.starves(starvation_s, now) else LANES.index(wanted.lane), wanted.since)


def _victims(weaker: Mapping[str, CachedModel], needed_bytes: int, now: float) -> tuple[str, ...] | None:
    """Who leaves to make room; None if those that have stayed long enough do not make enough."""
    leaving: list[str] = []
    for model in sorted(weaker, key=lambda each: _order_of_leaving(weaker[each])):
        if needed_bytes <= 0:
            break
        if _has_stayed(weaker[model], now):
            leaving.append(model)
            needed_bytes -= weaker[model].size_bytes
    return tuple(leaving) if needed_bytes <= 0 else None


def _order_of_leaving(model: CachedModel) -> tuple[int, float]:
    """Idle models first, then those with the lowest lane; the least recently used first."""
    return (-len(LANES) if model.lane is None else -LANES.index(model.lane), model.used_at)


def _gives_way(model: CachedModel, wanted: WantedModel, starvation_s: float, now: float) -> bool:
    rank = LANES.index(wanted.lane)
    if model.rank < rank:
        return wanted.is_due(now)
    return model.lane is None or model.rank > rank or wanted.starves(starvation_s, now)


def _has_stayed(model: CachedModel, now: float) -> bool:
    turn = IDLE_KEEP if model.lane is None else BUSY_KEEP
    return now - model.loaded_at >= turn * model.load_s
