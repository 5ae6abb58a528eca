"""A runner without a model, which does what its texts say: the first word of each is its behaviour."""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import InputTooLong, InternalError, JobError
from jobs.models import ModelInfo
from tests.chaos.order import DIMENSIONS, vector
from tests.chaos.plan import MODEL
from workers.runners.contract import Weightless

BATCH_S, ITEM_S, SLOW_S = 0.001, 0.0001, 0.03
FLAKY_S = 0.5
"""A flaky text fails until so long after it was first seen: its first attempt fails, a retry does not."""
EXIT_CODE = 17
FLOAT_BYTES = 4


class Text(msgspec.Struct, frozen=True):
    length: int
    text: str

    @property
    def behaviour(self) -> str:
        return self.text.partition(" ")[0]


class ChaosRunner(Weightless):
    """folder: where flaky texts note when they were first seen, by any worker."""

    def __init__(self, folder: Path) -> None:
        self.info = ModelInfo(id=MODEL, task="embed", created=0, dimensions=DIMENSIONS, max_tokens=1 << 30)
        self._folder = folder

    def prepare(self, jobs: Sequence[EmbedJob]) -> Sequence[list[Text] | JobError]:
        return [self._prepare(job) for job in jobs]

    def _prepare(self, job: EmbedJob) -> list[Text] | JobError:
        items = [Text(len(text), text) for text in job.inputs if isinstance(text, str)]
        if any(item.behaviour == "too_long" for item in items):
            return InputTooLong()
        if any(item.behaviour == "unprepared" for item in items):
            raise RuntimeError("this text cannot be tokenised")
        return items

    def launch(self, items: Sequence[Text]) -> Callable[[], Sequence[bytes | JobError]]:
        return lambda: self.run(items)

    def run(self, items: Sequence[Text]) -> Sequence[bytes | JobError]:
        time.sleep(BATCH_S + ITEM_S * len(items))
        return [self._run_one(item) for item in items]

    def _run_one(self, item: Text) -> bytes | JobError:
        match item.behaviour:
            case "raise":
                raise RuntimeError("this text breaks its batch")
            case "exit":
                os._exit(EXIT_CODE)
            case "hang" | "overtime":
                threading.Event().wait()
            case "nan":
                return InternalError("A vector is not finite.")
            case "slow":
                time.sleep(SLOW_S)
            case "flaky" if self._is_fresh(item.text):
                raise RuntimeError("this text fails at first")
            case _:
                pass
        return vector(item.text)

    def _is_fresh(self, text: str) -> bool:
        mark = self._folder / hashlib.sha256(text.encode()).hexdigest()
        mark.open("a").close()  # creates it; an existing one keeps its time
        return time.time() - mark.stat().st_mtime < FLAKY_S

    def assemble(
        self, job: EmbedJob, items: Sequence[Text], outcomes: Sequence[bytes | JobError]
    ) -> EmbedResult:
        vectors = list[bytes]()
        for outcome in outcomes:
            if isinstance(outcome, JobError):
                raise outcome
            vectors.append(outcome)
        dimensions = len(vectors[0]) // FLOAT_BYTES
        return EmbedResult(dimensions, b"".join(vectors), tuple(item.length for item in items))


class UnloadableRunner(ChaosRunner):
    """Its weights cannot be read on this machine."""

    weight_bytes = 1

    def load(self) -> Iterator[None]:
        yield
        raise RuntimeError("the weights are damaged")
