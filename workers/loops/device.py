"""The loop that owns the accelerator: next batch, run it, pass the outcomes on; load and unload models."""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jobs.errors import InternalError, JobError
from workers.loops.decode import DecodeBatch
from workers.loops.result import ResultLoop
from workers.loops.watchdog import Watchdog
from workers.models.model_cache import ModelCache
from workers.runners.contract import BatchRunner
from workers.scheduling.device_queue import Batch
from workers.scheduling.in_flight import InFlight
from workers.scheduling.token_budget import TokenBudget

log = logging.getLogger(__name__)

IDLE_WAIT_S = 0.1

LOADING_SHARE = 0.5
"""Of the time between two tokens: what loading a model may take up, the rest is for batches. Without answers, loading
takes turns with batches of the same length.
"""

Waiting = Callable[[], Sequence[Any]]


class Launched(NamedTuple):
    """A batch on the device."""

    batch: Batch
    wait: Waiting
    """Gives its outcomes."""
    at: float
    """When it was started, by time.monotonic."""
    launch_s: float
    """How long starting it took."""


class DeviceLoop:
    """Belongs to the device's thread, the only one that calls MLX. When stopped, it finishes what is on the device.

    depth: batches on the device at once. With two, a GPU finds the next batch when it ends one. It is started early
    only if it would be as large as the one that runs: many small batches would cost more than the pause. A CPU is
    busy with one, and fresh interactive work would only wait longer.

    While answers are being written (decode_batch), batches take turns with their steps: as much of them as fits between
    two tokens (budget).
    """

    def __init__(
        self,
        in_flight: InFlight,
        runners: Mapping[str, BatchRunner],
        watchdog: Watchdog,
        result_loop: ResultLoop,
        decode_batch: DecodeBatch,
        budget: TokenBudget,
        model_cache: ModelCache,
        *,
        batch_timeout_s: float,
        depth: int,
    ) -> None:
        self._in_flight = in_flight
        self._runners = runners
        self._watchdog = watchdog
        self._result_loop = result_loop
        self._decode_batch = decode_batch
        self._budget = budget
        self._model_cache = model_cache
        self._batch_timeout_s = batch_timeout_s
        self._depth = depth
        self._launched: deque[Launched] = deque()
        self._stopping = False
        self._batch_s = 0.0
        """What the latest batch took."""
        self._landed_at = 0.0

    def stop(self) -> None:
        self._stopping = True

    def run(self) -> None:
        while not self._stopping or self._launched:
            decoded = not self._stopping and self._decode_step()
            changed = self._model_cache.is_changing and self._change_models(decoded)
            if decoded:
                self._run_between_tokens()
            else:
                self._run_batches(0 if changed else IDLE_WAIT_S)
        self._decode_batch.stop()

    def _decode_step(self) -> bool:
        """A step of the answers that are being written; False if there are none."""
        self._budget.begin_turn()
        self._watchdog.begin(self._batch_timeout_s)
        decoded = self._decode_batch.step(self._budget.interval_s)
        self._watchdog.end()
        self._budget.end_step()
        return decoded

    def _change_models(self, decoded: bool) -> bool:
        """In pieces, so that answers and batches of other models go on meanwhile. Whether there was anything to do."""
        while self._launched:
            self._land(self._launched.popleft())
        until = time.monotonic() + max(self._batch_s, self._budget.interval_s)
        self._watchdog.begin(self._batch_timeout_s)
        did = self._model_cache.carry_out(
            self._is_busy,
            lambda: self._budget.has_time(LOADING_SHARE) if decoded else time.monotonic() < until,
        )
        self._watchdog.end()
        if not self._model_cache.is_changing:
            self._in_flight.wake_claim_loop()
        return did

    def _is_busy(self, model: str) -> bool:
        return self._decode_batch.has_answers(model) or model in self._in_flight.lanes_of_work()

    def _run_between_tokens(self) -> None:
        while self._launched:  # begun before the first answer was
            self._land(self._launched.popleft())
        while self._budget.has_time() and not self._stopping:
            batch = self._in_flight.next_batch(0, budget=self._budget)
            if batch is None:
                return
            started = time.monotonic()
            self._land(self._launch(batch))
            self._budget.observe(batch.model, batch.padded_tokens, time.monotonic() - started)

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
            return self._in_flight.next_batch(idle_wait_s)
        return self._in_flight.next_batch(0, at_least=len(self._launched[-1].batch.items))

    def _launch(self, batch: Batch) -> Launched:
        """A batch that cannot even be started fails when it is waited for, like any other."""
        at = time.monotonic()
        self._watchdog.begin(self._batch_timeout_s)
        try:
            wait = self._runners[batch.model].launch(_items(batch))
        except Exception as error:  # noqa: BLE001  # whatever a model throws is its batch's failure
            wait = _raising(error)
        return Launched(batch, wait, at, time.monotonic() - at)

    def _land(self, launched: Launched) -> None:
        batch = launched.batch
        self._watchdog.begin(self._batch_timeout_s)
        outcomes = run_bisected(self._rerun(batch.model, launched.wait), _items(batch))
        self._watchdog.end()
        self._note_batch(launched)
        for active in self._in_flight.record(batch.items, outcomes):
            self._result_loop.complete(active)

    def _note_batch(self, launched: Launched) -> None:
        now, batch = time.monotonic(), launched.batch
        idle_s = max(0.0, launched.at - self._landed_at)
        self._batch_s = now - max(launched.at, self._landed_at)
        self._landed_at = now
        log.debug(
            "batch done",
            extra={
                "model": batch.model,
                "batch_size": len(batch.items),
                "padded_tokens": batch.padded_tokens,
                "seconds": round(self._batch_s, 4),
                "launch_s": round(launched.launch_s, 4),
                "idle_s": round(idle_s, 4),
            },
        )

    def _rerun(self, model: str, first: Waiting) -> Callable[[Sequence[Any]], Sequence[Any]]:
        """Runs items: the launched batch at first, then (it failed) parts of it anew."""
        waits = [first]

        def run(items: Sequence[Any]) -> Sequence[Any]:
            self._watchdog.begin(self._batch_timeout_s)
            wait = waits.pop() if waits else self._runners[model].launch(items)
            return wait()

        return run


def _items(batch: Batch) -> list[Any]:
    return [queued.item for queued in batch.items]


def _raising(error: Exception) -> Waiting:
    def wait() -> Sequence[Any]:
        raise error

    return wait


def run_bisected(run: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any]) -> list[Any]:
    """One outcome per item. A run that raises is repeated on both halves; a single item that raises is its own failure.

    Splitting costs at most 2 * log2(len(items)) further runs per bad item.
    """
    try:
        outcomes = list(run(items))
        if len(outcomes) != len(items):
            raise InternalError(f"the runner gave {len(outcomes)} outcomes for {len(items)} items")
        return outcomes
    except Exception as error:  # whatever a model throws
        if len(items) == 1:
            log.exception("item failed")
            return [error if isinstance(error, JobError) else _as_internal(error)]
        log.warning(
            "batch failed, running its halves",
            extra={"batch_size": len(items), "error": type(error).__name__},
        )
    middle = len(items) // 2
    return run_bisected(run, items[:middle]) + run_bisected(run, items[middle:])


def _as_internal(error: Exception) -> InternalError:
    failure = InternalError()
    failure.__cause__ = error
    return failure
