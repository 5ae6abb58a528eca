"""The loop that owns the accelerator: next batch, run it, pass the outcomes on; load and unload models.

The only thread that calls MLX.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from workers.loops.decode import Decoding
from workers.loops.watchdog import Progress
from workers.models.model_cache import Residents
from workers.runners.contract import BatchRunner
from workers.scheduling.bisect_batch import run_split
from workers.scheduling.in_flight import Batch, Hand, Held
from workers.scheduling.token_budget import Pace

log = logging.getLogger(__name__)

IDLE_WAIT_S = 0.1

LOADING_SHARE = 0.5
"""Of the time between two tokens: what loading a model may take up, the rest is for batches. Without answers, loading
takes turns with batches of the same length.
"""

Waiting = Callable[[], Sequence[Any]]


class Launched(NamedTuple):
    """A batch on the device. at: when it was started. launch_s: how long that took."""

    batch: Batch
    wait: Waiting
    at: float
    launch_s: float


class DeviceLoop:
    """Runs until told to stop; then what is on the device is finished first.

    depth: batches on the device at once. With two, a GPU finds the next batch when it ends one. It is started early
    only if it would be as large as the one that runs: many small batches would cost more than the pause. A CPU is
    busy with one, and fresh interactive work would only wait longer.

    While answers are being written (decoding), batches take turns with their steps: as much of them as fits between
    two tokens (pace).
    """

    def __init__(
        self,
        hand: Hand,
        runners: Mapping[str, BatchRunner],
        progress: Progress,
        complete: Callable[[Held], None],
        decoding: Decoding,
        pace: Pace,
        residents: Residents,
        *,
        batch_timeout_s: float,
        depth: int,
    ) -> None:
        self._hand = hand
        self._runners = runners
        self._progress = progress
        self._complete = complete
        self._decoding = decoding
        self._pace = pace
        self._residents = residents
        self._batch_timeout_s = batch_timeout_s
        self._depth = depth
        self._launched: deque[Launched] = deque()
        self._stopping = False
        self._batch_s = 0.0  # what the latest batch took
        self._landed_at = 0.0

    def stop(self) -> None:
        self._stopping = True

    def run(self) -> None:
        while not self._stopping or self._launched:
            wrote = not self._stopping and self._write_on()
            changed = self._residents.is_changing and self._change_models(wrote)
            if wrote:
                self._run_between_tokens()
            else:
                self._run_batches(0 if changed else IDLE_WAIT_S)
        self._decoding.abandon()

    def _write_on(self) -> bool:
        """A step of the answers that are being written; False if there are none."""
        self._pace.begin_turn()
        self._progress.begin(self._batch_timeout_s)
        wrote = self._decoding.turn(self._pace.interval_s)
        self._progress.end()
        self._pace.end_step()
        return wrote

    def _change_models(self, wrote: bool) -> bool:
        """In pieces, so that answers and batches of other models go on meanwhile. Whether there was anything to do."""
        while self._launched:
            self._land(self._launched.popleft())
        until = time.monotonic() + max(self._batch_s, self._pace.interval_s)
        self._progress.begin(self._batch_timeout_s)
        did = self._residents.carry_out(
            self._is_busy,
            lambda: self._pace.has_time(LOADING_SHARE) if wrote else time.monotonic() < until,
        )
        self._progress.end()
        if not self._residents.is_changing:
            self._hand.announce_room()
        return did

    def _is_busy(self, model: str) -> bool:
        return self._decoding.writes(model) or model in self._hand.lanes_of_work()

    def _run_between_tokens(self) -> None:
        while self._launched:  # begun before the first answer was
            self._land(self._launched.popleft())
        while self._pace.has_time() and not self._stopping:
            batch = self._hand.next_batch(0, budget=self._pace)
            if batch is None:
                return
            started = time.monotonic()
            self._land(self._launch(batch))
            self._pace.observe(batch.model, batch.padded_tokens, time.monotonic() - started)

    def _run_batches(self, idle_wait_s: float) -> None:
        batch = self._next_batch(idle_wait_s)
        if batch is not None:
            self._launched.append(self._launch(batch))
        if self._launched and (batch is None or len(self._launched) == self._depth):
            self._land(self._launched.popleft())

    def _next_batch(self, idle_wait_s: float) -> Batch | None:
        if self._stopping:
            return None
        if not self._launched:
            return self._hand.next_batch(idle_wait_s)
        return self._hand.next_batch(0, at_least=len(self._launched[-1].batch.entries))

    def _launch(self, batch: Batch) -> Launched:
        """A batch that cannot even be started fails when it is waited for, like any other."""
        at = time.monotonic()
        self._progress.begin(self._batch_timeout_s)
        try:
            wait = self._runners[batch.model].launch(_items(batch))
        except Exception as error:  # noqa: BLE001  # whatever a model throws is its batch's failure
            wait = _raising(error)
        return Launched(batch, wait, at, time.monotonic() - at)

    def _land(self, launched: Launched) -> None:
        batch = launched.batch
        self._progress.begin(self._batch_timeout_s)
        outcomes = run_split(self._rerun(batch.model, launched.wait), _items(batch))
        self._progress.end()
        now = time.monotonic()
        idle_s = max(0.0, launched.at - self._landed_at)
        self._batch_s = now - max(launched.at, self._landed_at)
        self._landed_at = now
        log.debug(
            "batch done",
            extra={
                "model": batch.model,
                "batch_size": len(outcomes),
                "padded_tokens": batch.padded_tokens,
                "seconds": round(self._batch_s, 4),
                "launch_s": round(launched.launch_s, 4),
                "idle_s": round(idle_s, 4),
            },
        )
        for held in self._hand.record(batch.entries, outcomes):
            self._complete(held)

    def _rerun(self, model: str, first: Waiting) -> Callable[[Sequence[Any]], Sequence[Any]]:
        """Runs items: the launched batch at first, then (it failed) parts of it anew."""
        waits = [first]

        def run(items: Sequence[Any]) -> Sequence[Any]:
            self._progress.begin(self._batch_timeout_s)
            wait = waits.pop() if waits else self._runners[model].launch(items)
            return wait()

        return run


def _items(batch: Batch) -> list[Any]:
    return [entry.held.items[entry.place] for entry in batch.entries]


def _raising(error: Exception) -> Waiting:
    def wait() -> Sequence[Any]:
        raise error

    return wait
