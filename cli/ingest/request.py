"""What the command line asks of an ingest."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from cli.cannot_do import CannotDo


class IngestRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One call of `mlxq ingest`."""

    folders: tuple[str, ...]
    """Folders and files, absolute."""
    collection: str
    is_new: bool = False
    """The collection must not be there yet."""
    kinds: tuple[str, ...] = ()
    """visual, text. Empty: those that the collection has, else those that the served models make possible."""
    models: tuple[str, ...] = ()
    """Names, where several could do it."""
    passwords: tuple[str, ...] = ()
    retry: bool = False
    """What has failed is tried again."""
    reembed: bool = False
    """The collection's documents are embedded anew, beside the vectors that are searched."""
    keep_old: bool = False
    """Those stay in the store."""
    prune: bool = False
    yes: bool = False
    """Prune without asking; go on without the documents that cannot be embedded anew."""
    watch: bool = False
    dry_run: bool = False
    quiet: bool = False
    json: bool = False

    @property
    def told(self) -> str:
        """As one would type it; no passwords."""
        kinds = [f"--{kind}" for kind in self.kinds]
        flags = [f"--{name}" for name in ("retry", "reembed", "prune", "watch") if getattr(self, name)]
        return " ".join(["mlxq ingest", *self.folders, "-c", self.collection, *kinds, *flags])


def existing(folders: Sequence[str]) -> tuple[str, ...]:
    """Absolute, each once. Raises: CannotDo where one is not there."""
    missing = [folder for folder in folders if not os.path.exists(folder)]
    if missing:
        raise CannotDo(f"There is no file or folder {missing[0]!r}. Nothing was ingested.")
    return tuple(dict.fromkeys(os.path.abspath(folder) for folder in folders))


def passwords_in(path: str | None) -> tuple[str, ...]:
    """The lines of a file. Raises: CannotDo."""
    if path is None:
        return ()
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise CannotDo(f"Cannot read --password-file {path}: {error.strerror or error}.") from error
    except UnicodeError as error:
        raise CannotDo(f"--password-file {path} is not UTF-8: write one password on each line.") from error
    return tuple(dict.fromkeys(line for line in lines if line))
