"""`mlxq collections snapshot` and `restore`: a collection's files copied, while no store has them open."""

import contextlib
import shutil
from collections.abc import Generator
from pathlib import Path

import msgspec

from cli.cannot_do import CannotDo
from ingest.qdrant.folder import shards_folder, vector_folder
from ingest.store.aliases import Aliases
from ingest.store.description import DESCRIPTION, folder_name, read_description
from jobs.process.private_folder import FolderUnusable
from jobs.settings import Settings


def snapshot(settings: Settings, name: str, to: Path) -> int:
    """Copies the collection to a folder that is not there yet. Raises: CannotDo, OSError."""
    with _closed_store(settings) as shards:
        aliases = _aliases_in(shards)
        source = shards / folder_name(aliases.collection(name))
        if not (source / DESCRIPTION).exists():
            raise CannotDo(f"There is no collection {name!r} in {shards}.")
        if to.exists():
            raise CannotDo(f"{to} is there already: name a folder that is not.")
        part = to.with_name(f"{to.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(source, part)
        msgspec.structs.replace(read_description(part), name=name).write(
            part
        )  # it comes back without the alias
        part.rename(to)  # a snapshot that was not finished does not have its name
    print(f"{name} is copied to {to}.")
    return 0


def restore(settings: Settings, source: Path) -> int:
    """Makes a collection of what `snapshot` has copied. Raises: CannotDo, OSError."""
    try:
        description = read_description(source)
    except (OSError, msgspec.MsgspecError) as error:
        raise CannotDo(f"{source} is no snapshot of a collection: {error}") from error
    with _closed_store(settings) as shards:
        target = shards / folder_name(description.name)
        is_alias = description.name in _aliases_in(shards).all()
        if is_alias or (target / DESCRIPTION).exists():
            raise CannotDo(f"There is a collection {description.name!r} already: remove it first.")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source / description.shard, target / description.shard)
        description.write(target)  # last: with it, the collection is there
    print(f"{description.name} is restored.")
    return 0


def _aliases_in(shards: Path) -> Aliases:
    """Raises: CannotDo."""
    aliases = Aliases(shards)
    try:
        aliases.load()
    except FolderUnusable as error:
        raise CannotDo(f"{error}") from error
    return aliases


@contextlib.contextmanager
def _closed_store(settings: Settings) -> Generator[Path]:
    """The folder of the embedded store's collections, which nobody has open."""
    if settings.qdrant_url is not None:
        raise CannotDo("QDRANT_URL is set: a Qdrant server makes snapshots of its own.")
    folder = vector_folder(settings)
    try:
        folder.hold()
    except FolderUnusable as error:
        raise CannotDo(f"Snapshots are made and restored while `mlxq up` does not run: {error}") from error
    try:
        yield shards_folder(settings)
    finally:
        folder.release()
