"""The models of a worker that are in memory, and how others replace them."""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping

from jobs.errors import JobError, ModelNotLoadable
from jobs.job import Lane
from jobs.models import LoadedModel, UnloadableModel
from workers.models.memory.eviction import (
    IN_USE,
    PATIENCE,
    CachedModel,
    ModelChange,
    WantedModel,
    choose_change,
)
from workers.models.memory.load import Load, gigabytes, reason, too_large
from workers.models.memory.refusals import Refusals
from workers.models.memory.use import ModelUse
from workers.queue.fleet import FleetView
from workers.runners.contract import Runner, loaded

log = logging.getLogger(__name__)

HOPE_S = 10.0
"""Jobs of a model that is not loadable here fail when no worker that can load it was seen for so long: a restart takes
less.
"""

UNSEEN_S = 3.0
"""After so long without a look at the other workers (Redis was away), it is not known what they can do."""

SEEN_LOADING_S = 2.0
"""Another worker that was seen to load a model is taken to go on for so long. It is looked at once a second."""


class ModelCache:
    """The claim loop decides (`choose`, `begin_change`), the device's thread does it (`carry_out`); all may read.

    A model is in memory from the end of its load to the beginning of its unload. It serves until a change begins that
    unloads it.
    """

    def __init__(
        self,
        runners: Mapping[str, Runner],
        *,
        budget_bytes: int,
        starvation_s: float = 5,
        keep_alive_s: float = math.inf,
    ) -> None:
        """budget_bytes: for the weights of all models in memory. keep_alive_s: a model that nobody used for so long
        leaves.
        """
        self.runners = runners
        """Those that work is taken for. It is replaced, never changed: other threads go through it."""
        self._retired: dict[str, Runner] = {}
        """Those that work is taken for no more, until nothing of them is left here."""
        self._budget_bytes = budget_bytes
        self._starvation_s = starvation_s
        self._use = ModelUse(keep_alive_s)
        self._lock = threading.Lock()
        self.changes = 0
        """Counts what others are to be told of soon: what came and went, and for how long models are kept."""
        self._cached: dict[str, CachedModel] = {}
        """Models in memory. Their lanes are only filled in for `choose_change`."""
        self._load_times: dict[str, tuple[float, float]] = {}
        """When a model's latest load began and ended, in seconds since the epoch."""
        self._since: dict[str, float] = {}
        """When work was first seen, of models that are not in memory."""
        self._begin_by: Mapping[str, float] = {}
        """Until when work of such models must have begun, where it says so."""
        self._fleet = FleetView()
        self._hope_until: dict[str, float] = {}
        self._loading_elsewhere: dict[str, float] = {}
        """When another worker was last seen to load a model, by time.monotonic."""
        self._refusals = Refusals()
        self._change: ModelChange | None = None
        self._load: Load | None = None

    def load_fitting(self) -> None:
        """On the device's thread: load the models there is room for, in their order. Raises what loading does."""
        free = self._budget_bytes
        fitting = list[str]()
        for model, runner in self.runners.items():
            if runner.weight_bytes <= free:
                fitting.append(model)
                free -= runner.weight_bytes
        for number, model in enumerate(fitting, 1):
            runner = self.runners[model]
            size = gigabytes(runner.weight_bytes)
            log.info(
                "loading a model",
                extra={"model": model, "number": number, "of": len(fitting), "size_gb": size},
            )
            began_at, started = time.time(), time.monotonic()
            loaded(runner)
            self._note_loaded(model, began_at, time.monotonic() - started)

    def add(self, runner: Runner) -> None:
        """Work is taken for it from now on."""
        with self._lock:
            self._refusals.forget(runner.info.id)
            self.runners = {**self.runners, runner.info.id: runner}
            self.changes += 1

    def check_size(self, runner: Runner) -> None:
        """Raises InvalidInput for one that is larger than all memory for models."""
        if runner.weight_bytes > self._budget_bytes:
            raise too_large(runner.info.id, runner.weight_bytes, self._budget_bytes)

    def retire(self, model: str) -> None:
        """No work is taken for it any more. It leaves the memory when what is here has been done."""
        with self._lock:
            self._retired[model] = self.runners[model]
            self.runners = {name: each for name, each in self.runners.items() if name != model}
            self.changes += 1

    def has(self, model: str) -> bool:
        """Whether it is here, be it only to have its last work done."""
        return model in self.runners or model in self._retired

    def runner(self, model: str) -> Runner:
        """Also of one that is leaving. Raises KeyError."""
        return self.runners.get(model) or self._retired[model]

    def serves(self, model: str) -> bool:
        """Whether its jobs are to be claimed now: it is in memory and stays, or no live worker can load it (so they
        fail).
        """
        with self._lock:
            leaving = self._change is not None and model in self._change.unload
            return (model in self._cached and not leaving) or self._is_hopeless(model)

    def is_refused(self, model: str) -> bool:
        """Whether it is not loaded here for a while."""
        with self._lock:
            return self._refusals.now(model) is not None

    def failure(self, model: str) -> JobError | None:
        """Why its jobs cannot be done: the model cannot be loaded, or has not been."""
        with self._lock:
            if model in self._cached:
                return None
            refused = self._refusals.now(model)
            why = refused.why if refused else f"The model {model} is not in memory: send the request again."
            return ModelNotLoadable(why, param="model")

    def refuse(self, model: str, why: str, for_s: float | None = None) -> None:
        """Load it no more for so long (None: the longer, the more loads have failed in a row)."""
        with self._lock:
            for_s = self._refusals.add(model, why, for_s)
            self._use.note_left(model)
        log.warning(
            "a model is not served for a while", extra={"model": model, "reason": why, "for_s": round(for_s)}
        )

    def pardon(self, model: str) -> None:
        """It may be tried again at once."""
        with self._lock:
            self._refusals.forget(model)

    def unloadable(self) -> tuple[UnloadableModel, ...]:
        """What is not loaded here for a while."""
        with self._lock:
            return self._refusals.report()

    def load_wait_s(self, model: str, submitted_at: float) -> float:
        """How long a job that was submitted then (seconds since the epoch) waited for the load of its model.

        0 where the model was there. The submitter's clock may differ from ours, so it is at most what the load took.
        """
        with self._lock:
            began_at, ended_at = self._load_times.get(model, (0.0, 0.0))
        return max(0.0, ended_at - max(began_at, submitted_at))

    @property
    def is_settled(self) -> bool:
        """Whether all models are in memory, and never expire: there is nothing to decide."""
        with self._lock:
            return (
                len(self._cached) == len(self.runners)
                and not self._retired
                and all(each.expires_at == math.inf for each in self._cached.values())
            )

    @property
    def is_changing(self) -> bool:
        """Whether a change was begun and is not carried out yet."""
        return self._change is not None

    @property
    def is_loading(self) -> bool:
        """Whether a model is being loaded."""
        return self._load is not None

    @property
    def load_progress(self) -> tuple[str, int, float] | None:
        """The model that is being loaded, the steps done, and since how many seconds it is."""
        change, load = self._change, self._load
        if change is None or change.load is None or load is None:
            return None
        return change.load, load.steps_done, time.time() - load.began_at

    @property
    def is_awaited(self) -> bool:
        """Whether there is work for a model that is not in memory: time alone may change what is chosen."""
        return bool(self._since)

    def note_fleet(self, view: FleetView) -> None:
        """What other workers do."""
        with self._lock:
            is_unknown = view.is_starting or view.asked_at - self._fleet.asked_at > UNSEEN_S
            for model in self.runners if is_unknown else view.able:
                self._hope_until[model] = view.asked_at + HOPE_S
            self._fleet = view
            for model in view.loading:
                self._loading_elsewhere[model] = view.asked_at

    def workers(self, model: str) -> int:
        """How many have it in memory, this one among them."""
        with self._lock:
            return 1 + self._fleet.counts.get(model, 0)

    def note_loading_elsewhere(self, model: str) -> None:
        """Another worker has the turn to load it."""
        with self._lock:
            self._loading_elsewhere[model] = time.monotonic()

    def note_begin_by(self, begin_by: Mapping[str, float]) -> None:
        """Until when (by time.monotonic) the oldest work of models that are not in memory must have begun."""
        self._begin_by = begin_by

    def touch(self, model: str, lane: Lane, keep_alive_s: float | None) -> None:
        """A job of the model has ended, which asked for it to be kept for so long (None: as before)."""
        with self._lock:
            if cached := self._cached.get(model):
                now = time.monotonic()
                self.changes += self._use.note(model, lane, keep_alive_s, now)
                self._cached[model] = cached._replace(
                    used_at=now, expires_at=self._use.stays_until(model, now)
                )

    def let_go(self, model: str) -> None:
        """Have it leave as soon as nothing is to be done for it, also where it is only being loaded."""
        with self._lock:
            if cached := self._cached.get(model):
                self._use.let_go(model)
                self.changes += 1
                self._cached[model] = cached._replace(expires_at=time.monotonic())
            elif self._load is not None and self._change is not None and self._change.load == model:
                self._use.let_go(model)

    def choose(self, work: Mapping[str, Lane]) -> ModelChange | None:
        """What is to come and go now. None while a change is under way. work: the highest lane of each model with any.

        Where the work that a change was begun for is gone before the load, that change is given up.
        """
        with self._lock:
            if self._change is not None:
                if self._load is None and self._change.load is not None and self._change.load not in work:
                    self._change = None
                return None
            return self._choose(work)

    def begin_change(self, change: ModelChange) -> None:
        """From now on, nothing is to be begun for the models that leave."""
        with self._lock:
            self._change = change

    @property
    def leaving(self) -> tuple[str, ...]:
        """Models for which nothing is to be begun any more."""
        change = self._change
        return change.unload if change else ()

    def carry_out(self, is_busy: Callable[[str], bool], has_time: Callable[[], bool]) -> bool:
        """On the device's thread: unload what is to leave and no longer busy, then load a step, or as many as there is
        time for. Whether there was anything to do.
        """
        change = self._change
        if change is None:
            return False
        for model in change.unload:
            if model in self._cached:
                if is_busy(model):
                    return False
                self._unload(model)
        if change.load is None or self._load_some(change.load, has_time):
            with self._lock:
                self._change = None
        return True

    def report(self) -> tuple[LoadedModel, ...]:
        """What is in memory."""
        to_epoch = time.time() - time.monotonic()
        with self._lock:
            return tuple(
                LoadedModel(
                    id=model,
                    size_bytes=each.size_bytes,
                    expires_at=None if each.expires_at == math.inf else each.expires_at + to_epoch,
                )
                for model, each in self._cached.items()
            )

    def _choose(self, work: Mapping[str, Lane]) -> ModelChange | None:
        now = time.monotonic()
        if done := [each for each in self._retired if each not in work]:
            if leaving := tuple(each for each in done if each in self._cached):
                return ModelChange(None, leaving)
            for each in done:
                del self._retired[each]
        absent = [each for each in work if each in self.runners and each not in self._cached]
        missing = [each for each in absent if self._refusals.now(each) is None]
        # Work waits anew once another worker has loaded its model: it may well be done there.
        self._since = {model: self._since.get(model, now) for model in missing}
        for model in missing:
            self._since[model] = max(self._since[model], self._loading_elsewhere.get(model, 0.0))
        wanted = [
            self._wanted(model, work[model])
            for model in missing
            if now - self._loading_elsewhere.get(model, -math.inf) >= SEEN_LOADING_S
        ]
        in_use_since = now - IN_USE * self._starvation_s
        cached = {
            model: each._replace(lane=work.get(model), used_by=self._use.last_lane(model, in_use_since))
            for model, each in self._cached.items()
        }
        return choose_change(
            cached, wanted, budget_bytes=self._budget_bytes, starvation_s=self._starvation_s, now=now
        )

    def _wanted(self, model: str, lane: Lane) -> WantedModel:
        since = self._since[model]
        due_at = since + PATIENCE[lane] * self._starvation_s
        if model in self._begin_by:
            began_at, ended_at = self._load_times.get(model, (0.0, 0.0))
            due_at = self._begin_by[model] - self._starvation_s - 2 * (ended_at - began_at)
        elsewhere = model in self._fleet.loaded or self._loading_elsewhere.get(model, -1.0) == since
        return WantedModel(model, self.runners[model].weight_bytes, lane, since, elsewhere, due_at)

    def _is_hopeless(self, model: str) -> bool:
        """Whether no worker can load it, by what was seen of the others since it failed here."""
        refused = self._refusals.now(model)
        seen_at = self._fleet.asked_at
        return refused is not None and refused.at <= seen_at and self._hope_until.get(model, 0.0) <= seen_at

    def _load_some(self, model: str, has_time: Callable[[], bool]) -> bool:
        """True if that was all."""
        started = time.monotonic()
        self._load = load = self._load or Load(self.runner(model).load())
        why: str | None = None
        try:
            for _ in load.steps:
                load.steps_done += 1
                if not has_time():
                    load.took_s += time.monotonic() - started
                    return False
        except Exception as error:
            log.exception("a model cannot be loaded", extra={"model": model})
            why = reason(error)
        self._load = None
        if why is None:
            self._note_loaded(model, load.began_at, load.took_s + time.monotonic() - started)
        else:  # not above: there the traceback still holds the weights
            del load
            self.runner(model).unload()
            self.refuse(model, why)
        return True

    def _note_loaded(self, model: str, began_at: float, took_s: float) -> None:
        now = time.monotonic()
        with self._lock:
            self._cached[model] = CachedModel(
                self.runner(model).weight_bytes, None, now, took_s, now, self._use.stays_until(model, now)
            )
            self._load_times[model] = began_at, time.time()
            self.changes += 1
            self._since.pop(model, None)
            self._refusals.forget(model)
        log.info("model loaded", extra={"model": model, "load_s": round(took_s, 2)})

    def _unload(self, model: str) -> None:
        with self._lock:
            del self._cached[model]
            self._use.note_left(model)
            self.changes += 1
        self.runner(model).unload()
        log.info("model unloaded", extra={"model": model})


def preloaded(runners: Mapping[str, Runner]) -> ModelCache:
    """All of them in memory, and none ever leaves."""
    found = ModelCache(runners, budget_bytes=sum(runner.weight_bytes for runner in runners.values()))
    found.load_fitting()
    return found
