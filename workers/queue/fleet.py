"""What workers of one Redis know of each other: which models the others have in memory, load, or cannot load."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import redis

from jobs.catalogue.details import ModelDetails
from jobs.machines.announcements import AnnouncementReader, encode_model
from jobs.models import ModelInfo
from jobs.stats import WorkerStats
from jobs.store import keys, record
from jobs.store.scripts import script
from workers.queue.worker_name import machine_of

STUCK_S = 30
"""A load without a step for so long counts as stuck: another worker may begin its own."""

DEATHS_REMEMBERED_S = 600
"""How long a death in a load is remembered."""


class FleetView(NamedTuple):
    """What the other live workers do with the models of this one."""

    asked_at: float = float("-inf")
    """By time.monotonic."""
    loaded: frozenset[str] = frozenset()
    """They have these in memory."""
    loading: frozenset[str] = frozenset()
    """They are loading these, and get on with it."""
    able: frozenset[str] = frozenset()
    """They serve these, and have not said that they cannot load them."""
    counts: Mapping[str, int] = {}
    """How many of them have each model in memory."""
    is_starting: bool = False
    """Another worker starts, which may serve any model."""


class OtherFiles(NamedTuple):
    """Another live worker serves a model from other files than this one."""

    model: str
    worker: str
    digest: str


class LoadDeath(NamedTuple):
    """A worker that died while it loaded a model."""

    machine: str
    ago_s: float
    """Since its load began."""


class LoadTurn(NamedTuple):
    """The reply to a LOAD."""

    loader: str
    """The worker that loads the model already. Empty: this one is to."""
    deaths: tuple[LoadDeath, ...]


class Fleet:
    """One worker's view of the others. Every method may raise redis.RedisError; all may be repeated."""

    def __init__(self, connection: redis.Redis, worker: str) -> None:
        self._redis = connection
        self._worker = worker
        self._reader = AnnouncementReader()
        self._load = connection.register_script(script("load"))
        self._register = connection.register_script(script("register"))

    def register(self, models: Iterable[ModelInfo], lease_s: float) -> OtherFiles | None:
        """Say which files this worker's models are. The first model that another live worker serves from other files;
        then nothing is said.
        """
        args: list[Any] = [self._worker, lease_s]
        for info in models:
            if info.digest:
                args += [info.id, info.digest]
        conflict = self._register(args=args) if args[2:] else None
        return OtherFiles(*keys.names(conflict)) if conflict else None

    def announce_models(self, models: Iterable[ModelInfo]) -> None:
        """Have jobs taken for these, before they are loaded."""
        now, _ = self._redis.time()
        for info in models:
            self._redis.hset(keys.MODELS, info.id, encode_model(info, now))

    def withdraw(self, model: str) -> None:
        """This worker serves the model no more. Without another one, no jobs are taken for it."""
        self._redis.hdel(keys.digests(model), self._worker)
        if not any(model in each.models for each in self._others()):
            self._redis.hdel(keys.MODELS, model)
            self._redis.hdel(keys.MODEL_DETAILS, model)

    def announce_details(self, details: Mapping[str, ModelDetails]) -> None:
        """Tell what the files of models say of them. details: by the models' ids."""
        if details:
            self._redis.hset(
                keys.MODEL_DETAILS, mapping={model: record.pack(each) for model, each in details.items()}
            )

    def view(self, models: Iterable[str]) -> FleetView:
        """What the others do with these models."""
        asked_at = time.monotonic()
        others = self._others()
        served = {model for each in others for model in each.models}
        unloadable = [{entry.id for entry in each.unloadable} for each in others]
        able = {
            model
            for each, cannot in zip(others, unloadable, strict=True)
            for model in each.models
            if model not in cannot
        }
        pipeline = self._redis.pipeline(transaction=False)
        shared = [model for model in models if model in served]
        for model in shared:
            pipeline.hgetall(keys.loading(model))
        pipeline.zrange(keys.STARTING, 0, -1, withscores=True)
        *notes, starting = pipeline.execute(
            raise_on_error=False
        )  # a stranger's key of another type says nothing
        now, _ = self._redis.time()
        names = {each.name for each in others}
        found = zip(shared, notes, strict=True)
        return FleetView(
            asked_at,
            loaded=frozenset(model.id for each in others for model in each.loaded),
            loading=frozenset(model for model, note in found if _gets_on(note, names, now)),
            able=frozenset(able),
            counts=Counter(model.id for each in others for model in each.loaded),
            is_starting=isinstance(starting, list) and any(until > now for _, until in starting),
        )

    def begin_load(self, model: str) -> LoadTurn:
        """Take the turn to load the model, unless another worker has it (see lua/load.lua)."""
        loader, deaths = self._load(args=[self._worker, model, STUCK_S, DEATHS_REMEMBERED_S])
        died = keys.names(deaths)
        pairs = zip(died[::2], died[1::2], strict=True)
        return LoadTurn(
            keys.names([loader])[0], tuple(LoadDeath(machine_of(name), float(ago)) for name, ago in pairs)
        )

    def note_progress(self, model: str, began_ago_s: float) -> None:
        """The load of the model has got on."""
        seconds, microseconds = self._redis.time()
        now = seconds + microseconds / 1e6
        self._redis.hset(keys.loading(model), self._worker, f"{now - began_ago_s:.3f} {now:.3f}")
        self._redis.expire(keys.loading(model), DEATHS_REMEMBERED_S)

    def end_load(self, model: str) -> None:
        """It is loaded, or has been refused: whatever came of it, the worker lives. Notes of others stay."""
        self._redis.hdel(keys.loading(model), self._worker)

    def _others(self) -> list[WorkerStats]:
        names = keys.names(self._redis.smembers(keys.WORKERS), keys.WORKER_PREFIX)  # pyright: ignore[reportArgumentType]
        wanted = [keys.worker(name) for name in names if name != self._worker]
        replies: Any = self._redis.mget(wanted) if wanted else []
        found = [self._reader.worker(raw, key) for key, raw in zip(wanted, replies, strict=True) if raw]
        return [each for each in found if each is not None]


def _gets_on(notes: object, live: set[str], now: int) -> bool:
    """Whether one of the live workers is loading, and not stuck. notes: as lua/load.lua writes them."""
    if not isinstance(notes, dict):
        return False
    for name, note in notes.items():  # pyright: ignore[reportUnknownVariableType]
        try:
            got_on = float(note.split()[1])  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
        except (IndexError, ValueError):
            continue
        if now - got_on < STUCK_S and not live.isdisjoint(keys.names([name])):  # pyright: ignore[reportUnknownArgumentType]
            return True
    return False
