"""One job to be ordered, and what must become of it. Orders follow from the seed alone."""

import hashlib
import random
from array import array
from typing import NamedTuple

from jobs.embed import EmbedJob, EmbedResult
from jobs.generate import GenerateJob, GenerateResult, Prompt
from jobs.job import Job, Lane, SubmitOptions
from tests.chaos.plan import MODEL, TEXT_MODEL, Plan

DIMENSIONS = 4
WIDE_DIMENSIONS = 20_000
"""Of the vector for a `wide` text: a result too large to travel inside FINISH."""

INNOCENT = {"single": 58, "multi": 24, "slow": 1, "wide": 1, "flaky": 2, "canceled": 9, "stream": 3}
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
    """polled: its producer asks for the outcome again and again; otherwise it waits for it. Of a stream: its reader
    leaves once, and comes back.

    brief: its result lives shortly, so its producer must check it at once, and its keys must be gone in the end.
    """

    kind: str
    job: Job
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
    brief = kind in ("single", "multi") and chance.random() < 0.15
    options = SubmitOptions(
        lane=chance.choice(list(Lane)),
        time_limit_s=1 if kind == "overtime" else 600,
        result_ttl_s=plan.brief_ttl_s if brief else plan.keep_ttl_s,
        retries=3 if kind == "flaky" else 0,
        metadata={"kind": kind, "order": f"{producer}:{number}"},
        idempotency_key=name if chance.random() < 0.5 else None,
    )
    job = _stream(name, chance) if kind == "stream" else _texts(kind, name, chance)
    return Order(kind, job, options, chance.random() < 0.4, brief, chance.random() * 0.3)


def ordered(plan: Plan, kind: str, name: str) -> Job:
    """The job of an order, by the `kind` and `order` in its metadata."""
    producer, number = map(int, name.split(":"))
    return order(plan, producer, number, poison=kind in POISON).job


def _texts(kind: str, name: str, chance: random.Random) -> EmbedJob:
    size = {"multi": chance.randint(2, 12), "nan": 3, "raise": chance.choice((1, 3))}.get(kind, 1)
    texts = [f"plain {name} {n} {'x' * chance.randint(0, 400)}" for n in range(size)]
    if kind not in ("single", "multi", "canceled"):
        texts[-1] = f"{kind} {name} {size - 1}"
    return EmbedJob(model=MODEL, inputs=tuple(texts))


def _stream(name: str, chance: random.Random) -> GenerateJob:
    prompt = Prompt(f"stream {name} {chance.getrandbits(64):x} and on. ")
    return GenerateJob(TEXT_MODEL, prompt, stream=True, max_tokens=chance.choice((10, 30, 30, 80)))


def greedy(job: GenerateJob) -> str:
    """The only right answer: the prompt again and again, a character a token."""
    assert isinstance(job.prompt, Prompt) and isinstance(job.prompt.content, str)
    text, tokens = job.prompt.content, job.max_tokens or 0
    return (text * (tokens // len(text) + 1))[:tokens]


def vector(text: str) -> bytes:
    """The only right answer to a text, float32, shape (DIMENSIONS,), or (WIDE_DIMENSIONS,) for a `wide` one."""
    digest = hashlib.sha256(text.encode()).digest()
    found = array("f", [byte / 256 for byte in digest[:DIMENSIONS]]).tobytes()
    return found * (WIDE_DIMENSIONS // DIMENSIONS) if text.startswith("wide ") else found


def is_right(job: Job, result: object) -> bool:
    """Whether a result answers this job and no other."""
    if isinstance(job, GenerateJob):
        return isinstance(result, GenerateResult) and [each.text for each in result.choices] == [greedy(job)]
    assert isinstance(job, EmbedJob)
    wanted = b"".join(vector(str(text)) for text in job.inputs)
    tokens = tuple(len(str(text)) for text in job.inputs)
    return isinstance(result, EmbedResult) and (result.vectors, result.tokens) == (wanted, tokens)
