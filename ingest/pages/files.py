"""Where documents lie now: a path counts only while it has the content that was ingested."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path

from ingest.documents.problem import DocumentError
from ingest.documents.source import FileVersion, regular_file
from jobs.search.errors import DocumentGone

KEPT = 4096
"""Files whose content is remembered until they change."""


class DocumentFiles:
    """Reads a file's content once for as long as the file stays as it is."""

    def __init__(self, known_paths: Callable[[str], Iterable[str]] = lambda document: ()) -> None:
        """known_paths: where a document lies by what else is known, as the file system has the paths."""
        self._known_paths = known_paths
        self._contents: OrderedDict[Path, tuple[FileVersion, str]] = OrderedDict()

    async def locate(self, document: str, paths: Iterable[str]) -> Path:
        """The first path that has the document's content. document: SHA-256, in hex. Raises: DocumentGone."""
        candidates = list(dict.fromkeys([*paths, *self._known_paths(document)]))
        reasons = list[str]()
        for path in map(Path, candidates):
            try:
                if await self._content(path) == document:
                    return path
                reasons.append(f"{path} has other content now")
            except DocumentError:
                reasons.append(f"{path} is gone")
            except OSError as error:
                reasons.append(f"{path} cannot be read ({error.strerror})")
        raise DocumentGone(f"{', and '.join(reasons)}. Run `mlxq ingest` on its folder again.")

    async def _content(self, path: Path) -> str:
        """Raises DocumentError, OSError."""
        version = FileVersion.of(regular_file(path))
        kept = self._contents.get(path)
        if kept is None or kept[0] != version:
            kept = (version, await asyncio.to_thread(_sha256, path))
            self._contents[path] = kept
            if len(self._contents) > KEPT:
                self._contents.popitem(last=False)
        self._contents.move_to_end(path)
        return kept[1]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
