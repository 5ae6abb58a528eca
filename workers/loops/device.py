"""The loop that owns the accelerator: next batch, run it, pass the outcomes on; load and unload models."""

import logging
import queue
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from workers.loops.batch_parts import padded_tokens, run_in_parts
from workers.loops.decode import DecodeBatch
from workers.loops.result import ResultLoop
from workers.loops.watchdog import Watchdog
from workers.models.model_cache import ModelCache
from workers.runners.contract import BatchRunner
from workers.scheduling.batch_sizes import BatchSizes
from workers.scheduling.device_queue import Batch
from workers.scheduling.in_flight import InFlight
from workers.scheduling.packing import BatchLimits
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
        sizes: BatchSizes,
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
        self._sizes = sizes
        self._model_cache = model_cache
        self._batch_timeout_s = batch_timeout_s
        self._depth = depth
        self._launched: deque[Launched] = deque()
        self._stopping = False
        self._errands = queue.SimpleQueue[Callable[[], None]]()
        self._batch_s = 0.0
        """What the latest batch took."""
        self._landed_at = 0.0
        for model in runners:
            in_flight.limit_batches(model, sizes.most(model))

    def stop(self) -> None:
        self._stopping = True

    def call_soon(self, errand: Callable[[], None]) -> None:
        """Have it done on the device's thread, between two batches. It never raises, and takes no longer than one."""
        self._errands.put(errand)

    def add_model(self, model: str, limits: BatchLimits | None, slots: int) -> None:
        """On the device's thread: another model, which is among the runners by now. See InFlight.add_model."""
        self._in_flight.add_model(model, limits=limits, slots=slots)
        if limits is None:
            self._decode_batch.add(model)
            return
        self._sizes.add(model, limits.tokens)
        self._budget.add(model)

    def run(self) -> None:
        while not self._stopping or self._launched:
            self._do_errand()
            decoded = not self._stopping and self._decode_step()
            changed = self._model_cache.is_changing and self._change_models(decoded)
            if decoded:
                self._run_between_tokens()
            else:
                self._run_batches(0 if changed else IDLE_WAIT_S)
        self._decode_batch.stop()

    def _do_errand(self) -> None:
        if not self._errands.empty() and not self._stopping:
            self._watchdog.begin(self._batch_timeout_s)
            self._errands.get()()
            self._watchdog.end()

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
        self._note_size(batch.model, len(batch.items), batch.padded_tokens)
        try:
            wait = self._runners[batch.model].launch(_items(batch))
        except Exception as error:  # noqa: BLE001  # whatever a model throws is its batch's failure
            wait = _raising(error)
        return Launched(batch, wait, at, time.monotonic() - at)

    def _land(self, launched: Launched) -> None:
        batch = launched.batch
        self._watchdog.begin(self._batch_timeout_s)
        outcomes = run_in_parts(
            self._rerun(batch.model, launched.wait),
            _items(batch),
            on_no_memory=lambda items: self._make_room(batch.model, items),
        )
        self._watchdog.end()
        if not self._launched:
            self._sizes.end()
        self._note_batch(launched)
        for active in self._in_flight.record(batch.items, outcomes):
            self._result_loop.complete(active)

    def _make_room(self, model: str, items: Sequence[Any]) -> int:
        """The device had no memory for these. Returns how many padded tokens a batch may have from now on."""
        from workers.runners.checkpoint.lazy_weights import release  # it imports MLX

        release()
        if len(items) > 1:
            tokens = padded_tokens(items)
            self._sizes.note_too_large(model, tokens)
            most = self._sizes.most(model)
            fields = {"model": model, "padded_tokens": tokens, "batch_tokens": most}
            log.warning("the device has no memory for a batch, the next ones are smaller", extra=fields)
            self._in_flight.limit_batches(model, most)
        return self._sizes.most(model)

    def _note_size(self, model: str, count: int, tokens: int) -> None:
        """What is about to run. An item that kills the device alone is no lesson: smaller batches would not help it."""
        if count > 1:
            self._sizes.begin(model, tokens)
        elif not self._launched:
            self._sizes.end()

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
            tokens = padded_tokens(items)
            if waits:
                outcomes = waits.pop()()
            else:
                self._note_size(model, len(items), tokens)
                outcomes = self._runners[model].launch(items)()
            self._sizes.note_ran(model, tokens)
            self._in_flight.limit_batches(model, self._sizes.most(model))
            return outcomes

        return run


def _items(batch: Batch) -> list[Any]:
    return [queued.item for queued in batch.items]


def _raising(error: Exception) -> Waiting:
    def wait() -> Sequence[Any]:
        raise error

    return wait
