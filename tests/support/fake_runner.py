"""A runner whose vectors can be checked: the vector of a text is a hash of it. Some texts misbehave on purpose."""

import hashlib
import threading
from collections.abc import Callable, Sequence

import msgspec

from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import InternalError, InvalidInput, JobError
from jobs.models import ModelInfo
from workers.runners.contract import Weightless

DIMENSIONS = 4


def expected_vector(text: str) -> bytes:
    """16 bytes: four float32, none of them NaN."""
    return bytes(byte & 0x3F for byte in hashlib.blake2b(text.encode(), digest_size=16).digest())


class FakeItem(msgspec.Struct, frozen=True):
    text: str
    length: int


class FakeRunner(Weightless):
    """Texts: "raise" breaks its batch, "nan" fails alone, "unpreparable" fails and "hang in prepare" hangs in
    prepare until `prepare_gate` is set, "invalid" is refused.

    `gate` (set at first) holds the device while cleared. `batches` notes what ran together.
    """

    def __init__(self, model: str = "fake") -> None:
        self.info = ModelInfo(id=model, task="embed", created=0, dimensions=DIMENSIONS, max_tokens=512)
        self.gate = threading.Event()
        self.gate.set()
        self.prepare_gate = threading.Event()
        self.batches: list[list[str]] = []

    def prepare(self, jobs: Sequence[EmbedJob]) -> Sequence[list[FakeItem] | JobError]:
        return [self._prepare(job) for job in jobs]

    def _prepare(self, job: EmbedJob) -> list[FakeItem] | JobError:
        texts = [text for text in job.inputs if isinstance(text, str)]
        if "hang in prepare" in texts:
            self.prepare_gate.wait()
        if "unpreparable" in texts:
            raise RuntimeError("prepare breaks")
        if "invalid" in texts:
            return InvalidInput("not this one", param="input")
        return [FakeItem(text, max(1, len(text))) for text in texts]

    def launch(self, items: Sequence[FakeItem]) -> Callable[[], Sequence[bytes | JobError]]:
        return lambda: self.run(items)

    def run(self, items: Sequence[FakeItem]) -> Sequence[bytes | JobError]:
        texts = [item.text for item in items]
        self.batches.append(texts)
        self.gate.wait()
        if "raise" in texts:
            raise RuntimeError("device breaks")
        return [InternalError("not a number") if text == "nan" else expected_vector(text) for text in texts]

    def assemble(
        self, job: EmbedJob, items: Sequence[FakeItem], outcomes: Sequence[bytes | JobError]
    ) -> EmbedResult:
        for outcome in outcomes:
            if isinstance(outcome, JobError):
                raise outcome
        vectors = b"".join(outcome for outcome in outcomes if isinstance(outcome, bytes))
        return EmbedResult(
            dimensions=DIMENSIONS, vectors=vectors, tokens=tuple(item.length for item in items)
        )
