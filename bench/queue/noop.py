"""A runner that computes nothing: what is left is the cost of the queue."""

import time
from collections.abc import Callable, Sequence

import msgspec

from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import JobError
from jobs.models import ModelInfo
from workers.runners.contract import Weightless

GENERATOR = "noop-text"
"""It writes its prompt again and again."""


class NoopItem(msgspec.Struct, frozen=True):
    length: int


_ITEM = NoopItem(1)


class NoopRunner(Weightless):
    """Answers every input with the same one-dimensional vector."""

    def __init__(self, model: str = "noop", *, batch_s: float = 0.0) -> None:
        """batch_s: what a batch takes, without the CPU."""
        self._batch_s = batch_s
        self.info = ModelInfo(id=model, task="embed", created=0, dimensions=1, max_tokens=1 << 30)

    def prepare(self, jobs: Sequence[EmbedJob]) -> Sequence[list[NoopItem] | JobError]:
        return [[_ITEM] * len(job.inputs) for job in jobs]

    def launch(self, items: Sequence[NoopItem]) -> Callable[[], Sequence[bytes]]:
        return lambda: self.run(items)

    def run(self, items: Sequence[NoopItem]) -> Sequence[bytes]:
        if self._batch_s:
            time.sleep(self._batch_s)
        return [b"\0\0\x80\x3f"] * len(items)

    def assemble(self, job: EmbedJob, items: Sequence[NoopItem], outcomes: Sequence[bytes]) -> EmbedResult:
        return EmbedResult(dimensions=1, vectors=b"".join(outcomes), tokens=(1,) * len(outcomes))
