"""Other names of collections, in a file beside their folders."""

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
from qdrant_client import models

from ingest.store.description import check_name
from ingest.store.refused import CONFLICT, NOT_FOUND, Refused
from jobs.process.private_folder import FolderUnusable

FILE = "aliases.json"

Names = dict[str, str]
"""Of collections, by their aliases."""


class Aliases:
    """Of the store in that folder. What has changed is on the disk when a method returns."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._names: Names = {}

    def load(self) -> None:
        """Raises: FolderUnusable, where the file is damaged: without it, nobody knows which vectors are searched."""
        try:
            if self._path.exists():
                self._names = msgspec.json.decode(self._path.read_bytes(), type=Names)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FolderUnusable(
                f"{self._path} cannot be read: {error}. Put a copy of it back. If there is none, remove it: the "
                "collections then have their own names alone."
            ) from error

    def collection(self, name: str) -> str:
        """What the alias stands for; a name that is no alias stands for itself."""
        return self._names.get(name, name)

    def all(self) -> Names:
        """A copy."""
        return dict(self._names)

    def replace(self, names: Names) -> None:
        """All of them, in one step."""
        unfinished = self._path.with_suffix(".new")
        with unfinished.open("wb") as file:
            file.write(msgspec.json.encode(names))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path)
        self._names = names


def changed(names: Names, operations: Iterable[models.AliasOperations], collections: Iterable[str]) -> Names:
    """The aliases after all of the operations, as a Qdrant server does them. Raises Refused, and nothing has changed.

    collections: those that there are.
    """
    found, there = dict(names), set(collections)
    for each in operations:
        match each:
            case models.CreateAliasOperation():
                alias, collection = each.create_alias.alias_name, each.create_alias.collection_name
                if collection not in there:
                    raise Refused(NOT_FOUND, f"Not found: Collection `{collection}` doesn't exist!")
                found[_free(alias, there)] = collection
            case models.DeleteAliasOperation():
                found.pop(each.delete_alias.alias_name, None)
            case models.RenameAliasOperation():
                old, new = each.rename_alias.old_alias_name, each.rename_alias.new_alias_name
                if old not in found:
                    raise Refused(NOT_FOUND, f"Not found: Alias {old} does not exists!")
                found[_free(new, there)] = found.pop(old)
    return found


def _free(alias: str, collections: Iterable[str]) -> str:
    """The alias, if a collection may have it. Raises Refused."""
    check_name(alias)
    if alias in collections:
        raise Refused(CONFLICT, f"Wrong input: Collection `{alias}` already exists!")
    return alias
