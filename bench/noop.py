"""A runner that computes nothing: what is left is the cost of the queue."""

from collections.abc import Callable, Sequence

import msgspec

from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import JobError
from jobs.models import ModelInfo
from workers.runners.contract import Weightless


class NoopItem(msgspec.Struct, frozen=True):
    length: int


_ITEM = NoopItem(1)


class NoopRunner(Weightless):
    """Answers every input with the same one-dimensional vector."""

    def __init__(self, model: str = "noop") -> None:
        self.info = ModelInfo(id=model, task="embed", created=0, dimensions=1, max_tokens=1 << 30)

    def prepare(self, jobs: Sequence[EmbedJob]) -> Sequence[list[NoopItem] | JobError]:
        return [[_ITEM] * len(job.inputs) for job in jobs]

    def launch(self, items: Sequence[NoopItem]) -> Callable[[], Sequence[bytes]]:
        return lambda: self.run(items)

    def run(self, items: Sequence[NoopItem]) -> Sequence[bytes]:
        return [b"\0\0\x80\x3f"] * len(items)

    def assemble(self, job: EmbedJob, items: Sequence[NoopItem], outcomes: Sequence[bytes]) -> EmbedResult:
        return EmbedResult(dimensions=1, vectors=b"".join(outcomes), tokens=(1,) * len(outcomes))
