"""Which deaths of workers make a worker refuse to load a model. Pure."""

from collections.abc import Sequence

from workers.queue.fleet import DEATHS_REMEMBERED_S, LoadDeath

MAX_DEATHS_HERE = 2
"""Workers of this machine that may die while they load a model. Each death also ends answers of other models."""

MAX_MACHINES = 3
"""Other machines that may lose a worker so. One weak machine says nothing of this one; three do."""


def refusal_by_deaths(deaths: Sequence[LoadDeath], machine: str) -> tuple[str, float] | None:
    """Why the model is not loaded on this machine, and for how many seconds. None: it is.

    It lasts until so many deaths are forgotten that the rest do not suffice.
    """
    here = sorted(death.ago_s for death in deaths if death.machine == machine)
    others: dict[str, float] = {}
    for death in deaths:
        if death.machine != machine:
            others[death.machine] = min(death.ago_s, others.get(death.machine, death.ago_s))
    elsewhere = sorted(others.values())
    found: list[tuple[str, float]] = []
    if len(here) >= MAX_DEATHS_HERE:
        found.append((f"{len(here)} workers of this machine have died of it", here[MAX_DEATHS_HERE - 1]))
    if len(elsewhere) >= MAX_MACHINES:
        found.append(
            (f"workers of {len(elsewhere)} other machines have died of it", elsewhere[MAX_MACHINES - 1])
        )
    if not found:
        return None
    why, ago_s = min(found, key=lambda each: each[1])
    return why, max(1.0, DEATHS_REMEMBERED_S - ago_s)
