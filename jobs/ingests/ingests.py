"""Who knows the ingests and begins new ones: ManifestIngests (cli.api_process) in service, a fake in tests."""

from typing import Protocol

import msgspec

from jobs.errors import InvalidInput
from jobs.ingests.problem import IngestProblem
from jobs.ingests.run import IngestRun


class FolderNotAllowed(InvalidInput):
    """This folder may not be ingested from here. The server's MLXQ_INGEST_FOLDERS says which ones may."""

    code = "folder_not_allowed"


class NewIngest(msgspec.Struct, frozen=True):
    """What is to be ingested."""

    folder: str
    """Absolute, on the server."""
    collection: str
    text: bool = False
    """Chunks of text. Neither this nor images: whatever the served models make possible."""
    images: bool = False
    """Images of pages."""


class Ingests(Protocol):
    """In service all is read from the manifest: nothing of it needs Redis or the store."""

    def folders(self) -> tuple[str, ...]:
        """Those that may be ingested from here, with all that is in them. Empty: none."""
        ...

    async def runs(self, limit: int) -> tuple[IngestRun, ...]:
        """Newest first."""
        ...

    async def problems(self, collection: str) -> tuple[IngestProblem, ...]:
        """All that are left, by path."""
        ...

    async def begin(self, wanted: NewIngest) -> None:
        """Begins it, and ends once it is listed or has failed.

        Raises FolderNotAllowed, InvalidInput naming the field: also where it ended at once.
        """
        ...

    async def retry(self, collection: str) -> None:
        """Tries all that failed again. Raises as `begin` does."""
        ...
