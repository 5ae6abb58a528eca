"""One job to be ordered, and what must become of it. Orders follow from the seed alone."""

import hashlib
import random
from array import array
from typing import NamedTuple

from jobs.embed import EmbedJob, EmbedResult
from jobs.job import Lane, SubmitOptions
from tests.chaos.plan import MODEL, Plan

DIMENSIONS = 4

INNOCENT = {"single": 59, "multi": 25, "slow": 1, "flaky": 2, "canceled": 9}
FAULTY = {"raise": 1, "nan": 1, "unprepared": 1, "too_long": 1}
"""Jobs that fail, and hurt nobody."""
POISON = ("exit", "hang", "overtime")
"""Jobs that take their worker with them."""

EXPECTED: dict[str, tuple[str, str | None]] = {
    **dict.fromkeys(INNOCENT, ("finished", None)),
    **dict.fromkeys(("raise", "nan", "unprepared"), ("failed", "internal_error")),
    "too_long": ("failed", "context_length_exceeded"),
    "exit": ("failed", "worker_lost"),
    "hang": ("failed", "worker_lost"),
    "overtime": ("failed", "time_limit_exceeded"),
}
"""Status and failure code by kind; a `canceled` job may also be canceled in time."""


class Order(NamedTuple):
    """polled: its producer asks for the outcome again and again; otherwise it waits for it.

    brief: its result lives shortly, so its producer must check it at once, and its keys must be gone in the end.
    """

    kind: str
    job: EmbedJob
    options: SubmitOptions
    polled: bool
    brief: bool
    cancel_after_s: float


def order(plan: Plan, producer: int, number: int, *, poison: bool) -> Order:
    chance = random.Random(f"{plan.seed}:{producer}:{number}")
    kinds = {**INNOCENT, **FAULTY}
    kind = chance.choices(list(kinds), list(kinds.values()))[0]
    turn, rest = divmod(number, plan.poison_every)
    if poison and rest == plan.poison_every // 4:
        kind = POISON[(producer + turn) % len(POISON)]
    name = f"{plan.seed}:{producer}:{number}"
    size = {"multi": chance.randint(2, 12), "nan": 3, "raise": chance.choice((1, 3))}.get(kind, 1)
    texts = [f"plain {name} {n} {'x' * chance.randint(0, 400)}" for n in range(size)]
    if kind not in ("single", "multi", "canceled"):
        texts[-1] = f"{kind} {name} {size - 1}"
    brief = kind in ("single", "multi") and chance.random() < 0.15
    options = SubmitOptions(
        lane=chance.choice(list(Lane)),
        time_limit_s=1 if kind == "overtime" else 600,
        result_ttl_s=plan.brief_ttl_s if brief else plan.keep_ttl_s,
        retries=3 if kind == "flaky" else 0,
        metadata={"kind": kind},
        idempotency_key=name if chance.random() < 0.5 else None,
    )
    job = EmbedJob(model=MODEL, inputs=tuple(texts))
    return Order(kind, job, options, chance.random() < 0.4, brief, chance.random() * 0.3)


def vector(text: str) -> bytes:
    """The only right answer to a text, float32, shape (DIMENSIONS,)."""
    digest = hashlib.sha256(text.encode()).digest()
    return array("f", [byte / 256 for byte in digest[:DIMENSIONS]]).tobytes()


def is_right(job: EmbedJob, result: object) -> bool:
    """Whether a result answers this job and no other."""
    wanted = b"".join(vector(str(text)) for text in job.inputs)
    tokens = tuple(len(str(text)) for text in job.inputs)
    return isinstance(result, EmbedResult) and (result.vectors, result.tokens) == (wanted, tokens)
