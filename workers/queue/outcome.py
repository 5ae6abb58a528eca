"""What became of an execution, as lua/finish.lua takes it."""

from typing import Literal, NamedTuple

from jobs.errors import Failure
from jobs.store import record
from workers.queue.claim import Claim

OutcomeKind = Literal["finished", "failed", "stopped", "retry", "release"]
"""retry: a failed run that is tried again. release: given back, as if it had never been claimed."""


class Outcome(NamedTuple):
    """What became of an execution."""

    claim: Claim
    kind: OutcomeKind
    ttl_s: float = 0
    """How long the result is kept. Of a retry: how long it waits."""
    stored: bytes = b""
    """The encoded result, or the failure as RQ stores it."""
    failure: bytes = b""
    """The failure as msgpack."""


def failed(claim: Claim, failure: Failure, kind: OutcomeKind = "failed") -> Outcome:
    """The outcome of a job that fails for good."""
    exc_string, packed = record.encode_failure(failure)
    return Outcome(claim, kind, claim.result_ttl_s, exc_string, packed)
