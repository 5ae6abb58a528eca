"""The Ingests of an API process: read from the manifest; a new one is a `mlxq ingest` of its own."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TypeVar

from cli.configuration import child_environ
from ingest.manifest.database import Database, ManifestUnusable
from ingest.manifest.manifest import Manifest, manifest_path
from ingest.manifest.runs import Run, RunRecords
from jobs.errors import InvalidInput
from jobs.ingests.ingests import FolderNotAllowed, NewIngest
from jobs.ingests.problem import IngestProblem
from jobs.ingests.run import IngestRun
from jobs.settings import Settings

T = TypeVar("T")

BEGIN_S = 60
"""An ingest that is not listed after this time has its reasons, and will be."""
_POLL_S = 0.1
STOP_S = 3
"""So long ingests that were begun here may finish what is in flight, when the process ends. Nothing is lost."""

# -P keeps the folder that the server was started in out of sys.path, where a `cli` of the user's may lie.
_INGEST = (sys.executable, "-P", "-m", "cli.main", "ingest")
_COLLECTION = re.compile(r"\w[\w. -]{0,99}")
_SHOWN_CHARACTERS = 2000


class ManifestIngests:
    """One per process. The manifest may not be there yet: then there are no ingests."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._begun = set[asyncio.subprocess.Process]()

    async def aclose(self) -> None:
        """Ends the ingests that were begun here, as Ctrl-C does. The next one goes on where they were."""
        for process in self._begun:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await asyncio.gather(*(process.wait() for process in self._begun))
        for process in self._begun:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def folders(self) -> tuple[str, ...]:
        """What MLXQ_INGEST_FOLDERS names."""
        return tuple(str(each.expanduser()) for each in self._settings.ingest_folders)

    async def runs(self, limit: int) -> tuple[IngestRun, ...]:
        """Newest first."""
        return tuple(shown_run(each, time.time()) for each in await self._runs(limit))

    async def problems(self, collection: str) -> tuple[IngestProblem, ...]:
        """All that are left of a collection."""
        found = await self._read(lambda database: Manifest(database).problems(collection), [])
        return tuple(
            IngestProblem(each.path, each.page, each.kind, each.message, each.is_warning, each.at)
            for each in found
        )

    async def begin(self, wanted: NewIngest) -> None:
        """Raises FolderNotAllowed, InvalidInput."""
        folder = allowed_folder(wanted.folder, self.folders())
        kinds = [
            option for option, chosen in (("--text", wanted.text), ("--visual", wanted.images)) if chosen
        ]
        await self._start(str(folder), _collection_option(wanted.collection), *kinds)

    async def retry(self, collection: str) -> None:
        """Raises InvalidInput."""
        await self._start("retry", _collection_option(collection))

    async def _start(self, *arguments: str) -> None:
        """Waits until it is listed. Raises InvalidInput with what it said where it ends in error before."""
        with tempfile.TemporaryFile() as said:
            process = await asyncio.create_subprocess_exec(
                *_INGEST,
                *arguments,
                "--quiet",
                env=child_environ(self._settings),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,  # Ctrl-C reaches it through aclose
            )
            self._begun = {each for each in self._begun if each.returncode is None} | {process}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEGIN_S):
                    await self._until_listed(process)
            if process.returncode == 1:
                raise InvalidInput(_last_words(said) or "The ingest ended at once, and said nothing.")

    async def _until_listed(self, process: asyncio.subprocess.Process) -> None:
        """Or until it ends."""
        while True:
            runs = await self._runs(5)
            if process.returncode is not None or process.pid in [each.pid for each in runs]:
                return
            await asyncio.sleep(_POLL_S)

    async def _runs(self, limit: int) -> list[Run]:
        return await self._read(lambda database: RunRecords(database).list(limit=limit), [])

    async def _read(self, question: Callable[[Database], T], otherwise: T) -> T:
        """otherwise: where there is no manifest yet. Raises InvalidInput where it cannot be used."""
        try:
            return await asyncio.to_thread(_asked, manifest_path(self._settings), question)
        except FileNotFoundError:
            return otherwise
        except ManifestUnusable as error:
            raise InvalidInput(str(error)) from error


def allowed_folder(folder: str, allowed: Sequence[str]) -> Path:
    """The folder itself, where links lead to. Raises FolderNotAllowed, InvalidInput where it is none."""
    real = Path(os.path.realpath(folder)) if os.path.isabs(folder) else None
    if real is None or not any(real.is_relative_to(os.path.realpath(each)) for each in allowed):
        raise FolderNotAllowed(param="folder")
    if not real.is_dir():
        raise InvalidInput(f"There is no folder {folder}.", param="folder")
    return real


def shown_run(run: Run, now: float) -> IngestRun:
    """now: in seconds since the epoch."""
    state = "lost" if run.state == "running" and not run.is_alive(now) else run.state
    ended_at = run.heartbeat_at if state == "lost" else run.ended_at
    return IngestRun(run.id, run.collection, run.request, run.started_at, ended_at, state, run.progress)


def _collection_option(name: str) -> str:
    if not _COLLECTION.fullmatch(name):
        raise InvalidInput(
            "A collection's name has letters, digits, dots, dashes and spaces: 100 at most, a letter first.",
            param="collection",
        )
    return f"--collection={name}"


def _asked(path: Path, question: Callable[[Database], T]) -> T:
    database = Database(path, read_only=True)
    try:
        return question(database)
    finally:
        database.close()


def _last_words(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("mlxq: ")[:_SHOWN_CHARACTERS] if lines else ""
