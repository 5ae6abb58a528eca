"""Where the embedded vector store keeps its collections, and its socket."""

from pathlib import Path

from jobs.process.private_folder import PrivateFolder
from jobs.settings import Settings


def vector_folder(settings: Settings) -> PrivateFolder:
    """In the data folder, as yet untouched."""
    return PrivateFolder(settings.data / "collections", "store.sock")


def shards_folder(settings: Settings) -> Path:
    """In that folder: a folder for each collection."""
    return vector_folder(settings).path / "shards"
