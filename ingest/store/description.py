"""The file beside a collection's shard: what the collection was made by, and which shard is the right one."""

import hashlib
import os
import re
from pathlib import Path

import msgspec
from qdrant_client import models

from ingest.store.refused import BAD_REQUEST, Refused

DESCRIPTION = "collection.json"

MAX_NAME = 255


class Description(msgspec.Struct, frozen=True):
    """A folder without it is one whose making was not finished."""

    name: str
    spec: str
    """Qdrant's CreateCollection as JSON."""
    shard: str = "shard"
    """The folder beside the file. Another one is what a compaction has left."""

    def created(self) -> models.CreateCollection:
        """By which the collection was made."""
        return models.CreateCollection.model_validate_json(self.spec)

    def write(self, folder: Path) -> None:
        """The file is there with all of its content, or it is not there."""
        path = folder / DESCRIPTION
        fresh = path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(self))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)


def read_description(folder: Path) -> Description:
    """Raises OSError and msgspec.MsgspecError."""
    return msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=Description)


def folder_name(name: str) -> str:
    """Of a collection: readable, and another one for each name, also where capital letters do not count."""
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return f"{readable or 'collection'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def check_name(name: str) -> None:
    """Of a collection, or an alias. Raises Refused."""
    if not 0 < len(name) <= MAX_NAME or re.search(r'[<>:"/\\|?*\x00-\x1f]', name):
        raise Refused(
            BAD_REQUEST,
            f"{name[:MAX_NAME]!r} cannot be a collection's name: it must have 1 to {MAX_NAME} characters, and none of "
            'them may be one of < > : " / \\ | ? *',
        )
