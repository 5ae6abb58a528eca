"""What the vectors of a collection depend on: they can only be compared with vectors of the same making."""

from collections.abc import Mapping
from typing import Any, Self

import msgspec

from ingest.collections.layout import parted_name

LAYOUT = 1
"""Of ingest/collections/layout.py. It counts up when points are stored in another way."""

_KEYS = ("mlxq_layout", "model", "model_digest", "made_by")


class Fingerprint(msgspec.Struct, frozen=True):
    """Kept in the metadata of the collection in Qdrant."""

    model: str
    """As requests name it."""
    digest: str = ""
    """Of the model's files (ModelInfo.digest). Empty: not known, then the name counts."""
    made_by: str = ""
    """The settings that change vectors: budget of pixels, prompt, size of chunks. Readable, for it is shown."""

    @property
    def key(self) -> str:
        """Equal for collections whose vectors can be compared, whatever the model is called."""
        return f"{LAYOUT} {self.digest or self.model} {self.made_by}"

    def sized(self, sizes: Mapping[str, int]) -> "Fingerprint":
        """The same, which also tells the dimensions of the vectors."""
        told = ", ".join(f"{name} of {size} numbers" for name, size in sizes.items())
        return msgspec.structs.replace(self, made_by=", ".join(filter(None, (self.made_by, told))))

    def metadata(self) -> dict[str, Any]:
        """For Qdrant."""
        return dict(zip(_KEYS, (LAYOUT, self.model, self.digest, self.made_by), strict=True))

    @classmethod
    def of(cls, metadata: Mapping[str, Any] | None) -> Self | None:
        """None: the collection is none of ours, or of another layout."""
        if metadata is None or metadata.get(_KEYS[0]) != LAYOUT:
            return None
        model, digest, made_by = (metadata.get(key, "") for key in _KEYS[1:])
        return cls(model, digest, made_by)


class FingerprintMismatch(Exception):
    """A collection holds vectors of another making; the message says what to do."""

    def __init__(self, stored: str, there: Fingerprint | None, wanted: Fingerprint) -> None:
        """stored: the collection's name in Qdrant."""
        found = f"has vectors of {_told(there)}" if there else "was not made by mlxq, or by another version"
        super().__init__(
            f"The collection {stored!r} {found}, and these would be of {_told(wanted)}: they cannot be compared. "
            "Ingest with the same model and settings, or into another collection (--into NEW), or make all of its "
            f"vectors anew while the old ones are searched: mlxq ingest reembed{_options(stored)}"
        )
        self.there = there


def _options(stored: str) -> str:
    """By which `mlxq ingest` names that half."""
    parted = parted_name(stored) or parted_name(stored.rpartition("@")[0])
    return f" -c {parted[0]} --{parted[1]}" if parted else ""


def _told(fingerprint: Fingerprint) -> str:
    made_by = f" ({fingerprint.made_by})" if fingerprint.made_by else ""
    return f"{fingerprint.model}{made_by}"
