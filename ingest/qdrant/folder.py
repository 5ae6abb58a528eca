"""Where the embedded vector store keeps its collections, and its socket."""

from jobs.process.private_folder import PrivateFolder
from jobs.settings import Settings


def vector_folder(settings: Settings) -> PrivateFolder:
    """In the data folder, as yet untouched."""
    return PrivateFolder(settings.data / "collections", "store.sock")
