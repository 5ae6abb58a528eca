"""Commands that change the catalogue and the files of this machine, each within a moment."""

import logging
import time
from collections.abc import Collection
from pathlib import Path

from jobs.catalogue.changes import Removal, copied, created, removed
from jobs.catalogue.deletion import delete, planned
from jobs.catalogue.entry import Catalogue
from jobs.catalogue.file import CatalogueFile
from jobs.machines.commands import CopyModel, CreateModel, RemoveModel

log = logging.getLogger(__name__)

Change = CopyModel | CreateModel | RemoveModel


class Changes:
    """Of one machine."""

    def __init__(self, data: Path, served: Collection[str]) -> None:
        """served: the ids of the models that the settings name."""
        self._models = data.absolute() / "models"
        self._file = CatalogueFile(data)
        self._served = served

    def carry_out(self, command: Change) -> str:
        """The name that was given or taken away. Raises UnknownModel, InvalidInput, CatalogueUnusable, OSError."""
        if isinstance(command, RemoveModel):
            return self._remove(command)
        now = time.time()
        if isinstance(command, CopyModel):
            after = self._file.update(
                lambda it: copied(it, command.source, command.name, served=self._served, now=now)
            )
        else:
            after = self._file.update(
                lambda it: created(
                    it,
                    command.source,
                    command.name,
                    defaults=command.defaults,
                    template=command.template,
                    license=command.license,
                    served=self._served,
                    now=now,
                )
            )
        made = after.find(command.name)
        assert made is not None, "it was just made"
        return made.name

    def _remove(self, command: RemoveModel) -> str:
        removals: list[Removal] = []

        def change(before: Catalogue) -> Catalogue:
            removals.append(removed(before, command.name, served=self._served))
            return removals[0].catalogue

        self._file.update(change)
        [removal] = removals
        # Only now: a process that is killed in between leaves files without a name, and no name without files.
        if removal.folder and removal.entry.pulled:
            plan = planned(Path(removal.folder), self._models)
            delete(plan)
            log.info("model deleted", extra={"model": removal.entry.name, "freed_bytes": plan.freed_bytes})
        return removal.entry.name
