"""What a machine knows of one model, or of another name for one."""

from typing import Literal

import msgspec

from jobs.catalogue.defaults import ModelDefaults
from jobs.catalogue.names import without_latest

Kind = Literal["embedding", "reranker", "llm", "vlm"]


class CatalogueEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model on this machine, or an alias: another name for one, with defaults of its own."""

    name: str
    """As requests name it, without ":latest" (see names.checked_name)."""

    of: str = ""
    """Of an alias: the name of the model that it stands for. Empty: the entry has files of its own."""

    source: str = ""
    """ORGANISATION/NAME on Hugging Face, or the folder it was taken from."""
    revision: str = ""
    """The branch, tag or commit that was asked for. Empty: the repository's own default."""
    commit: str = ""
    """What the revision was when it was downloaded. Empty: not from Hugging Face."""
    quantisation: str = ""
    """What mlxq made of the weights: 4bit, 6bit, 8bit, mxfp4, nvfp4. Empty: as they were published."""
    folder: str = ""
    """The absolute path of its files."""
    pulled: bool = False
    """mlxq put all of the files there, so it may delete them without asking."""
    size_bytes: int = 0
    """Of all its files, 0: not known."""

    adapter: str = ""
    """The folder of LoRA weights. With one, an alias is opened as a model of its own."""
    draft: str = ""
    """A folder or a Hugging Face name, of a small model that proposes tokens. As for the adapter."""
    task: Literal["", "embed"] = ""
    """What a model that writes text is served for instead."""
    kind: Kind | None = None
    """What it is for, as its files tell. None: not known."""

    defaults: ModelDefaults = ModelDefaults()
    template: str = ""
    """As a Modelfile gave it. It is shown and not used: mlxq renders chats by the model's own template."""
    license: str = ""

    created_at: float
    """In seconds since the epoch."""
    modified_at: float

    @property
    def is_alias(self) -> bool:
        """Whether it only gives another name and defaults, so that no worker opens anything for it."""
        return bool(self.of) and not self.adapter and not self.draft


class Catalogue(msgspec.Struct, frozen=True):
    """All entries of a machine, in the order in which they were added. Names are unique, capital letters aside."""

    version: int
    entries: tuple[CatalogueEntry, ...] = ()

    def find(self, name: str) -> CatalogueEntry | None:
        """By its name, with or without ":latest"; capital letters do not count."""
        wanted = _key(name)
        return next((entry for entry in self.entries if _key(entry.name) == wanted), None)

    def find_root(self, name: str) -> CatalogueEntry | None:
        """The entry with files that a name means in the end. None where an alias leads nowhere."""
        entry, seen = self.find(name), set[str]()
        while entry is not None and entry.of and entry.name not in seen:
            seen.add(entry.name)
            entry = self.find(entry.of)
        return None if entry is None or entry.of else entry

    def aliases_of(self, name: str) -> tuple[CatalogueEntry, ...]:
        """The entries that stand for this one directly."""
        wanted = _key(name)
        return tuple(entry for entry in self.entries if entry.of and _key(entry.of) == wanted)

    def with_entry(self, entry: CatalogueEntry) -> "Catalogue":
        """The same with this entry, in place of one of the same name."""
        at = self.find(entry.name)
        if at is None:
            return msgspec.structs.replace(self, entries=(*self.entries, entry))
        entries = tuple(entry if each is at else each for each in self.entries)
        return msgspec.structs.replace(self, entries=entries)

    def without(self, name: str) -> "Catalogue":
        """The same without the entry of this name."""
        gone = self.find(name)
        return msgspec.structs.replace(self, entries=tuple(each for each in self.entries if each is not gone))


def is_same_name(name: str, other: str) -> bool:
    """Whether two names mean one entry."""
    return _key(name) == _key(other)


def _key(name: str) -> str:
    return without_latest(name).casefold()
