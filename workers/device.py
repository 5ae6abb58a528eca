"""The loop that owns the accelerator: next batch, run it, pass the outcomes on. The only thread that calls MLX."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workers.hand import Batch, Hand, Held
from workers.progress import Progress
from workers.runners.base import Runner
from workers.splitting import run_split

log = logging.getLogger(__name__)

IDLE_WAIT_S = 0.1


class DeviceLoop:
    """Runs until told to stop; then the current batch is finished first."""

    def __init__(
        self,
        hand: Hand,
        runners: Mapping[str, Runner],
        progress: Progress,
        complete: Callable[[Held], None],
        *,
        batch_timeout_s: float,
    ) -> None:
        self._hand = hand
        self._runners = runners
        self._progress = progress
        self._complete = complete
        self._batch_timeout_s = batch_timeout_s
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True

    def run(self) -> None:
        while not self._stopping:
            batch = self._hand.next_batch(IDLE_WAIT_S)
            if batch is not None:
                self._run_batch(batch)

    def _run_batch(self, batch: Batch) -> None:
        runner = self._runners[batch.model]
        started = time.monotonic()

        def run(items: Sequence[Any]) -> Sequence[Any]:
            self._progress.begin(self._batch_timeout_s)
            try:
                return runner.run(items)
            finally:
                self._progress.end()

        outcomes = run_split(run, [entry.held.items[entry.place] for entry in batch.entries])
        log.debug(
            "batch done",
            extra={
                "model": batch.model,
                "batch_size": len(outcomes),
                "padded_tokens": batch.padded_tokens,
                "seconds": time.monotonic() - started,
            },
        )
        for held in self._hand.record(batch, outcomes):
            self._complete(held)
