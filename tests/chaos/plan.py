"""What one chaos run consists of."""

from typing import NamedTuple

MODEL = "chaos"
TEXT_MODEL = "chaos-text"
"""It writes streams."""

FAULTS = (
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
    "file_lost",
    "memory_full",
    "redis_pause",
    "no_model",
    "slow_machine",
    "slow_network",
)
"""Every kind of fault of a run with one Redis; names of methods of RedisFaults."""
WITH_SENTINELS = ("failover", "kill", "garbage", "failover")
"""Faults of a run with a primary and a replica; names of methods of SentinelFaults."""
ALONE = {"redis_pause", "no_model"}
"""Faults whose outcome can be told only where nothing else goes on: a worker without the model rightly fails jobs where
all others are dead.
"""

LAST = {"file_lost"}
"""Faults that come once more before the calm: no death of a worker afterwards repairs what they do."""


class Plan(NamedTuple):
    """seed: everything random follows from it, except what the machine's timing adds. faults: their names.

    jobs, kills: the run goes on until so many jobs were submitted and so many workers were killed by us.
    burst_every_s: pause between a producer's bursts; together they set the rate, which stays under the capacity
        so that a job's time to settle is about faults and not about a backlog. most_open: a producer with so many open
        jobs waits, where a busy machine has less capacity than that.
    fault_every_s: mean pause between faults when they come together.
    slack_s: what settling after the last fault may take beyond the lease and the time of as many jobs without a fault,
        and clearing up beyond the ttls. The short run is a test, and holds on a busy machine too.
    poison_every: one in so many of a producer's jobs takes its worker down, again and again. calm_at: no more of them
        come once that share of the jobs was submitted.
    max_crashes: as in the settings. A job cannot know who killed its worker: one that is innocent and dies with as many
        counts as a surprise, so there are more where faults come fast and answers are slow.
    beside: so many faults of a turn come at once. newer_workers, newer_producers: the first so many of each are of the
        next version, whose records the others cannot read.
    """

    seed: int
    faults: tuple[str, ...]
    jobs: int
    kills: int
    producers: int
    workers: int
    turns: int
    burst: int = 8
    burst_every_s: float = 0.25
    most_open: int = 100
    fault_every_s: float = 1.0
    poison_every: int = 400
    calm_at: float = 1.0
    beside: int = 1
    newer_workers: int = 2
    newer_producers: int = 1
    lease_s: float = 2.0
    batch_timeout_s: float = 2.0
    max_crashes: int = 4
    sweep_s: float = 1.0
    brief_ttl_s: int = 6
    keep_ttl_s: int = 3600
    slack_s: float = 1.0


def short(seed: int) -> Plan:
    """Every kind of fault at least once and a few thousand jobs; about a minute on two cores."""
    return Plan(
        seed=seed,
        faults=FAULTS,
        jobs=1600,
        kills=8,
        producers=2,
        workers=3,
        turns=1,
        burst=7,
        calm_at=0.5,
        beside=3,
        max_crashes=6,
        brief_ttl_s=4,
        slack_s=30,
    )


def long(seed: int) -> Plan:
    """At least 50,000 jobs and 100 kills."""
    return Plan(
        seed=seed,
        faults=FAULTS,
        jobs=50_000,
        kills=102,
        producers=4,
        workers=4,
        turns=3,
        fault_every_s=2.5,
        poison_every=1600,
    )


def failover(seed: int) -> Plan:
    """A primary that dies twice, under real sentinels; half a minute."""
    return short(seed)._replace(faults=WITH_SENTINELS, jobs=500, kills=0, beside=1, poison_every=800)
