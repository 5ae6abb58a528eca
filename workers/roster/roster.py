"""The models of the catalogue come to a running worker and leave it: a pull or a removal needs no restart."""

import logging
import queue
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple, Protocol

from jobs.catalogue.entry import Catalogue, is_same_name
from jobs.catalogue.file import CatalogueFile, CatalogueUnusable, Stamp
from jobs.errors import InvalidInput
from workers.models.memory.load import reason
from workers.models.model_cache import ModelCache
from workers.models.resolve import LocalModel
from workers.runners.contract import Runner

log = logging.getLogger(__name__)

LOOK_S = 1.0
REFUSED_S = 7 * 86_400.0
"""A model that cannot be opened is told as such until its entry changes."""


class Opened(NamedTuple):
    """What came of opening a model on the device's thread."""

    model: LocalModel
    runner: Runner | None
    error: Exception | None = None


class Host(Protocol):
    """What the roster asks of its worker. All is called by the main thread."""

    def open_later(self, model: LocalModel, done: Callable[[Opened], None]) -> None:
        """On the device's thread, between two batches. done: is called there."""
        ...

    def take_on(self, runner: Runner) -> None:
        """Serve it from now on. Raises InvalidInput where that cannot be, RedisError."""
        ...

    def let_go(self, model: str) -> None:
        """Take no more work for it. Raises RedisError."""
        ...


class Roster:
    """Belongs to the main thread. `tick` is called often, and looks at the catalogue once a second."""

    def __init__(self, file: CatalogueFile, host: Host, model_cache: ModelCache) -> None:
        """model_cache: its models are those of the settings, which stay."""
        self._file = file
        self._host = host
        self._model_cache = model_cache
        self._settled = frozenset(model_cache.runners)
        self._looked_at = float("-inf")
        self._stamp: Stamp | None = None
        self._wanted: dict[str, LocalModel] = {}
        self._served: dict[str, LocalModel] = {}
        self._failed: dict[str, LocalModel] = {}
        self._opening: LocalModel | None = None
        self._opened = queue.SimpleQueue[Opened]()

    def tick(self) -> None:
        """Raises RedisError; what was not done is done by a later call."""
        if time.monotonic() - self._looked_at < LOOK_S:
            return
        self._looked_at = time.monotonic()
        self._look()
        if not self._opened.empty():
            self._take_on(self._opened.get())
        for name, model in list(self._served.items()):
            if self._wanted.get(name) != model:
                self._host.let_go(name)
                del self._served[name]
                log.info("a model leaves this worker", extra={"model": name})
        if self._opening is None:
            self._open_next()

    def _look(self) -> None:
        stamp = self._file.stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._wanted = models_of(self._file.read(), self._settled)
        except CatalogueUnusable as error:
            log.error(
                "the catalogue cannot be read, its models stay as they are", extra={"error": f"{error}"}
            )
            return
        for name in [name for name, model in self._failed.items() if self._wanted.get(name) != model]:
            del self._failed[name]
            self._model_cache.pardon(name)

    def _open_next(self) -> None:
        for name, model in self._wanted.items():
            if name in self._served or name in self._failed or self._model_cache.has(name):
                continue  # one of that name that is leaving has to be gone
            self._opening = model
            self._host.open_later(model, self._opened.put)
            return

    def _take_on(self, opened: Opened) -> None:
        self._opening = None
        model, runner, error = opened
        if self._wanted.get(model.id) != model:
            return
        if runner is not None:
            try:
                self._host.take_on(runner)
            except InvalidInput as refused:
                error = refused
        if error is None:
            self._served[model.id] = model
            log.info("a model is served from now on", extra={"model": model.id})
            return
        log.error(
            "a model of the catalogue cannot be served",
            exc_info=None if isinstance(error, InvalidInput) else error,
            extra={"model": model.id, "error": reason(error)},
        )
        self._failed[model.id] = model
        self._model_cache.refuse(model.id, reason(error), REFUSED_S)


def models_of(catalogue: Catalogue, taken: Collection[str]) -> dict[str, LocalModel]:
    """The models that a worker opens for a catalogue, by their names. taken: names of other models, which go before."""
    found: dict[str, LocalModel] = {}
    for entry in catalogue.entries:
        root = catalogue.find_root(entry.name)
        if entry.is_alias or root is None or any(is_same_name(entry.name, each) for each in taken):
            continue
        found[entry.name] = LocalModel(
            entry.name,
            Path(root.folder),
            adapter=Path(entry.adapter) if entry.adapter else None,
            draft=Path(entry.draft) if entry.draft else None,
            task=entry.task or None,
        )
    return found
