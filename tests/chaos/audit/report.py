"""What a run found, and how it is printed."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests.chaos.faults.losses import Loss

MAX_SHOWN = 10

NEVER = {
    "lost": "every acknowledged job ends, and its producer is told",
    "doubled": "each has one result entry, and each order one job",
    "wrong": "the right vectors come for the right job, told as stored",
    "surprising": "innocent jobs finish, the others fail with their own code",
    "taken": "a pause of Redis takes no job from a living worker",
    "told twice": "no waiter is told twice",
    "late": "after the last fault innocent jobs settle in the lease, the plan's slack and what as many take without it",
    "unseen": "rq knows every live worker",
    "left behind": "no lease, execution or other key outlives its ttl",
}
"""The sorts of problems, each with what holds where there are none."""


class Report(NamedTuple):
    """problems: by sort, each of them a violation. streams: with the whole and right text. newer: jobs of the next
    version of records. lost_with_the_file, changed_with_the_file: jobs that were acknowledged, and outcomes that were
    told, in the lost end of the file; losses: when. settled_s: of innocent jobs, from the last fault on, ascending.
    rush_s: what as many took without a fault. hit_last: those of these that were in a worker that died.
    """

    seed: int
    wall_s: float
    submitted: int
    unacknowledged: int
    expired: int
    streams: int
    newer: int
    lost_with_the_file: int
    changed_with_the_file: int
    losses: Sequence[Loss]
    statuses: Mapping[str, int]
    faults: Mapping[str, int]
    proxy: Mapping[str, int]
    strangers: Mapping[str, int]
    settled_s: Sequence[float]
    hit_last: int
    rush_s: float
    allowed_s: float
    restart_s: float
    worst_crashes: int
    worker_starts: int
    problems: Mapping[str, Sequence[str]]

    @property
    def violations(self) -> list[str]:
        return [f"{sort}: {each}" for sort, found in self.problems.items() for each in found]

    def table(self) -> str:
        settled = self.settled_s
        p50 = settled[len(settled) // 2] if settled else 0.0
        rows = {
            "seed": self.seed,
            "wall": f"{self.wall_s:.0f} s",
            "jobs acknowledged": self.submitted,
            "submits unacknowledged": f"{self.unacknowledged} (checked like the others where they arrived)",
            "stored at the end": _listed(self.statuses),
            "expired before their producer asked": self.expired,
            "streams with the whole and right text": self.streams,
            "jobs of the next version": f"{self.newer} (run by workers of that version alone)",
            "lost with the file's last second": f"{self.lost_with_the_file} jobs that were acknowledged in it",
            "changed with it": f"{self.changed_with_the_file} outcomes that were told in it",
            **{sort: len(found) for sort, found in self.problems.items()},
            "faults": _listed(self.faults),
            "proxy": _listed(self.proxy),
            "strangers": _listed(self.strangers),
            "worker starts": self.worker_starts,
            "innocent jobs settled after the last fault": (
                f"{len(settled)}, p50 {p50:.2f} s, max {max(settled, default=0.0):.2f} s (allowed "
                f"{self.allowed_s:.2f} s, {self.rush_s:.2f} s of it is what as many took without a fault); "
                f"{self.hit_last} of them were in a killed worker"
            ),
            "longest without any worker": f"{self.restart_s:.2f} s (all killed at once, restart included)",
            "worst luck of an innocent job": f"in {self.worst_crashes} workers that died",
        }
        width = max(len(name) for name in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())

    def __str__(self) -> str:
        lines = [self.table(), *(f"lost end of the file: {each}" for each in self.losses)]
        for sort, found in self.problems.items():
            lines += [f"{sort}: {each}" for each in found[:MAX_SHOWN]]
            if len(found) > MAX_SHOWN:
                lines.append(f"{sort}: … {len(found) - MAX_SHOWN} more")
        return "\n".join(lines)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
