"""Commands that change the catalogue and the files of this machine, each within a moment."""

import logging
import time
from collections.abc import Collection
from pathlib import Path

from jobs.catalogue.changes import Removal, copied, created, removed
from jobs.catalogue.deletion import delete, planned, unused
from jobs.catalogue.entry import Catalogue
from jobs.catalogue.file import CatalogueFile
from jobs.machines.aliases import check_new_alias
from jobs.machines.commands import CopyModel, CreateModel, RemoveModel

log = logging.getLogger(__name__)

Change = CopyModel | CreateModel | RemoveModel


class Changes:
    """Of one machine."""

    def __init__(self, data: Path, served: Collection[str], needed: Collection[str] = ()) -> None:
        """served: the ids of the models that the settings name. needed: the folders and hub names of these."""
        self._models = data.absolute() / "models"
        self._file = CatalogueFile(data)
        self.served = served
        self.needed = needed

    def carry_out(self, command: Change) -> str:
        """The name that was given or taken away. Raises UnknownModel, InvalidInput, CatalogueUnusable, OSError."""
        if isinstance(command, RemoveModel):
            return self._remove(command)
        after = self._file.update(lambda it: self._named(it, command))
        made = after.find(command.name)
        assert made is not None, "it was just made"
        return made.name

    def _named(self, before: Catalogue, command: CopyModel | CreateModel) -> Catalogue:
        check_new_alias(command.name, before, self.served)
        now = time.time()
        if isinstance(command, CopyModel):
            return copied(before, command.source, command.name, served=self.served, now=now)
        return created(
            before,
            command.source,
            command.name,
            defaults=command.defaults,
            template=command.template,
            license=command.license,
            served=self.served,
            now=now,
        )

    def _remove(self, command: RemoveModel) -> str:
        found = removed(self._file.read(), command.name, served=self.served, needed=self.needed)
        folder = Path(found.folder) if found.folder and found.entry.pulled else None
        if folder is None or not planned(folder, self._models).paths:
            return self._forget(command).entry.name
        with unused(found.entry.name, folder):
            removal = self._forget(command)
            # Only now: a process that is killed in between leaves files without a name, and no name without files.
            if removal.folder == found.folder:
                plan = planned(folder, self._models, only_pulled=True)
                delete(plan)
                log.info(
                    "model deleted", extra={"model": removal.entry.name, "freed_bytes": plan.freed_bytes}
                )
        return removal.entry.name

    def _forget(self, command: RemoveModel) -> Removal:
        removals: list[Removal] = []

        def change(before: Catalogue) -> Catalogue:
            removals.append(removed(before, command.name, served=self.served, needed=self.needed))
            return removals[0].catalogue

        self._file.update(change)
        return removals[0]
