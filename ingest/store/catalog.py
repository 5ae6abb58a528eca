"""The catalog: all collections of a folder: made, opened, found by name, removed."""

import contextlib
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from qdrant_client import models

from ingest.store.aliases import Aliases, Names, changed
from ingest.store.collection import Collection
from ingest.store.description import DESCRIPTION, check_name, folder_name, read_description
from ingest.store.refused import CONFLICT, INTERNAL, NOT_FOUND, Refused

log = logging.getLogger(__name__)

REMOVED = ".removed"
"""What the name of a folder ends in whose collection was removed."""


class Catalog:
    """Called from one thread at a time. A damaged collection does not keep the others from being opened."""

    def __init__(self, folder: Path) -> None:
        """folder: of this store alone; it is made if it is not there."""
        self._folder = folder
        self._aliases = Aliases(folder)
        self._open: dict[str, Collection] = {}
        self._damaged: dict[str, str] = {}
        """Why a collection cannot be opened, by its name."""

    def open(self) -> None:
        """Open all that are there, and clear up what a crash left of those that were being made or removed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._aliases.load()
        for folder in sorted(each for each in self._folder.iterdir() if each.is_dir()):
            if folder.name.endswith(REMOVED) or not (folder / DESCRIPTION).exists():
                shutil.rmtree(folder, ignore_errors=True)
            else:
                self._open_one(folder)

    def _open_one(self, folder: Path) -> None:
        name = folder.name
        try:
            name = read_description(folder).name
            self._open[name] = Collection.open(folder)
        except Exception as error:  # qdrant-edge raises nothing more exact
            self._damaged[name] = f"{error}"
            log.exception("a collection cannot be opened", extra={"collection": name, "folder": str(folder)})

    def close(self) -> None:
        """Close all, also when one cannot be closed."""
        with contextlib.ExitStack() as stack:
            for collection in self._open.values():
                stack.callback(collection.close)
            self._open.clear()

    def names(self) -> list[str]:
        """Also of those that cannot be opened."""
        return sorted({*self._open, *self._damaged})

    def exists(self, name: str) -> bool:
        """By its name or an alias."""
        return self._is_there(self._aliases.collection(name))

    def aliases(self, collection: str | None = None) -> Names:
        """Names of collections by alias: all, or those of one collection."""
        found = self._aliases.all()
        return {alias: name for alias, name in found.items() if collection in (None, name)}

    def change_aliases(self, operations: Sequence[models.AliasOperations]) -> None:
        """All or none of them. Raises Refused."""
        self._aliases.replace(changed(self._aliases.all(), operations, self.names()))

    def find(self, name: str) -> Collection:
        """By its name or an alias. Raises Refused."""
        name = self._aliases.collection(name)
        if found := self._open.get(name):
            return found
        if name in self._damaged:
            raise Refused(
                INTERNAL,
                f"The collection `{name}` cannot be opened: {self._damaged[name]}. Its files are in "
                f"{self._folder / folder_name(name)}. Delete the collection and ingest its documents again.",
            )
        raise Refused(NOT_FOUND, f"Not found: Collection `{name}` doesn't exist!")

    def opened(self) -> list[Collection]:
        """Those that can be used."""
        return list(self._open.values())

    def is_open(self, collection: Collection) -> bool:
        """Whether it is still the one of its name."""
        return self._open.get(collection.name) is collection

    def replace(self, old: Collection, fresh: Collection) -> None:
        """By one over another shard; the old shard is removed."""
        fresh.take_over()
        self._open[old.name] = fresh
        old.close()
        shutil.rmtree(old.folder / old.shard_name, ignore_errors=True)

    def create(self, name: str, given: models.CreateCollection) -> None:
        """Raises Refused."""
        check_name(name)
        if self.exists(name):
            raise Refused(CONFLICT, f"Wrong input: Collection `{name}` already exists!")
        self._open[name] = Collection.create(self._folder / folder_name(name), name, given)

    def remove(self, name: str) -> bool:
        """Whether there was such a collection. Its files and aliases are gone, too. name: no alias."""
        if not self._is_there(name):
            return False
        if self.aliases(name):
            left = {alias: each for alias, each in self._aliases.all().items() if each != name}
            self._aliases.replace(left)
        if (collection := self._open.pop(name, None)) is not None:
            collection.close()
        self._damaged.pop(name, None)
        folder = self._folder / folder_name(name)
        trash = folder.with_name(folder.name + REMOVED)
        shutil.rmtree(trash, ignore_errors=True)
        folder.rename(trash)  # removed from here on, whatever happens to this process
        shutil.rmtree(trash, ignore_errors=True)
        return True

    def _is_there(self, name: str) -> bool:
        return name in self._open or name in self._damaged
