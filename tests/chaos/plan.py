"""What one chaos run consists of."""

from typing import NamedTuple

MODEL = "chaos"

TURNS = (
    "kill",
    "terminate",
    "freeze",
    "redis_restart",
    "drop_replies",
    "cut",
    "garbage",
    "partition",
    "redis_away",
    "kill_all",
)
"""Every kind of fault, in the order of the first part of a run; names of methods of Faults."""


class Plan(NamedTuple):
    """seed: everything random follows from it, except what the machine's timing adds.

    jobs, kills: the run goes on until so many jobs were submitted and so many workers were killed by us.
    burst_every_s: pause between a producer's bursts; together they set the rate, which stays under the capacity
        so that a job's time to settle is about faults and not about a backlog.
    fault_every_s: mean pause between faults when they come together.
    slack_s: what settling after the last fault, and clearing up, may take beyond the lease and the ttls. The long run
        measures it on a quiet machine; the short one is a test, and holds on a busy machine too.
    poison_every: one in so many of a producer's jobs takes its worker down, again and again.
    """

    seed: int
    jobs: int
    kills: int
    producers: int
    workers: int
    turns: int
    burst: int = 8
    burst_every_s: float = 0.25
    fault_every_s: float = 1.0
    poison_every: int = 400
    lease_s: float = 2.0
    batch_timeout_s: float = 2.0
    max_crashes: int = 4
    sweep_s: float = 1.0
    brief_ttl_s: int = 6
    keep_ttl_s: int = 3600
    slack_s: float = 1.0


def short(seed: int) -> Plan:
    """Every kind of fault once and a few thousand jobs; well under two minutes on two cores."""
    return Plan(seed=seed, jobs=2500, kills=8, producers=2, workers=3, turns=1, slack_s=30)


def long(seed: int) -> Plan:
    """At least 50,000 jobs and 100 kills."""
    return Plan(
        seed=seed,
        jobs=52_000,
        kills=105,
        producers=4,
        workers=4,
        turns=3,
        fault_every_s=2.5,
        poison_every=1600,
    )
