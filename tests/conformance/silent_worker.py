"""A worker whose model writes the prompt again, slowly: `silent_worker.py REDIS_URL MODEL PACE_S MOST`.

PACE_S: seconds between two tokens of an answer, which are a byte each. MOST: so many tokens of each answer are
written, and then no more, though the worker works on; 0 for all.
"""

import json
import sys
import threading
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from jobs.generate import Chat, GenerateJob
from jobs.settings import Settings
from jobs.store.connection import connect
from tests.support.fake_generator import FakeDecoder, FakeGenerator
from workers.models.model_cache import preloaded
from workers.runners.generate.answer import Answer
from workers.runners.generate.contract import NewToken
from workers.runners.generate.output.segments import NORMAL, TOOL, OutputSegments
from workers.runners.generate.output.tool_calls import CallReader
from workers.runners.generate.output.transcript import OutputFormat
from workers.scheduling.packing import BatchLimits
from workers.worker import BatchWorker

MARKERS = ("<call>", "</call>")
"""Around a tool call: {"name", "arguments"}."""


class SlowDecoder(FakeDecoder):
    def __init__(self, pace_s: float, most: int) -> None:
        super().__init__()
        self._pace_s = pace_s
        self._most = most
        self._next_at: dict[int, float] = {}

    def insert(self, answer: Answer) -> int:
        uid = super().insert(answer)
        self._next_at[uid] = time.monotonic()
        return uid

    def step(self, seconds: float) -> list[NewToken]:
        threading.Event().wait(0.01)
        return [token for uid, answer in list(self._answers.items()) if (token := self._next(uid, answer))]

    def _next(self, uid: int, answer: Answer) -> NewToken | None:
        at, now = answer.written + len(answer.generated), time.monotonic()
        if now < self._next_at[uid] or at == self._most:
            return None
        self._next_at[uid] = now + self._pace_s
        if at < answer.prompt_tokens:
            return NewToken(uid, answer.ids[at], None, None)
        del self._answers[uid]
        return NewToken(uid, answer.ids[0], "stop", None)


class SlowGenerator(FakeGenerator):
    def __init__(self, model: str, pace_s: float, most: int) -> None:
        super().__init__(model)
        self.decoder = SlowDecoder(pace_s, most or -1)

    def output_format(self, job: GenerateJob) -> OutputFormat:
        if not (isinstance(job.prompt, Chat) and job.prompt.tools):
            return super().output_format(job)
        before, behind = MARKERS
        segments = partial(OutputSegments, {NORMAL: [(before, TOOL)], TOOL: [(behind, NORMAL)]})
        calls = CallReader(json.loads, (), MARKERS)
        return OutputFormat(self.text_tokenizer, segments, ()).with_tools(calls, one_call=False)


if __name__ == "__main__":
    url, model, pace_s, most = sys.argv[1:]
    worker = BatchWorker(
        connect(url),
        preloaded({model: SlowGenerator(model, float(pace_s), int(most))}),
        {model: BatchLimits(tokens=256, items=64, padding=0.5, free_padding=64)},
        Settings(),
        lambda work: work(),
    )
    sys.exit(0 if worker.work() else 1)
