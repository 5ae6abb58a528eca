"""Notices that something in folders has changed."""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Sequence
from types import TracebackType
from typing import Self

from watchfiles import Change, awatch  # pyright: ignore[reportUnknownVariableType]

from ingest.scan.names import is_ignored_file, is_ignored_folder

QUIET_MS = 500
"""Changes that follow each other so fast are one."""

MOST_MS = 5_000
"""After which they are told although there are more."""

CHECK_MS = 1_000
"""How soon a watch ends when it is to end."""


class FolderWatch:
    """Between __aenter__ and __aexit__, no change below the folders goes unnoticed, unless `error` says why.

    A folder that comes back, because its disk is mounted again, is noticed by the next call of `changed`.
    """

    def __init__(self, roots: Sequence[str]) -> None:
        self.error = ""
        """Why changes are not noticed: the system watches no more folders. Look at the folders now and then instead."""
        self._roots = roots
        self._identity = _identity(roots)
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def changed(self, timeout_s: float) -> bool:
        """Whether something has changed since the last call, as soon as it has."""
        if self._identity != (identity := _identity(self._roots)):
            await self._end()
            self._identity, self.error = identity, ""
            self._task = asyncio.create_task(self._watch())
            self._changed.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        was_set = self._changed.is_set()
        self._changed.clear()
        return was_set

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self) -> None:
        try:
            changes: AsyncGenerator[object] = awatch(  # pyright: ignore[reportUnknownVariableType]
                *self._roots,
                watch_filter=self._is_wanted,
                step=QUIET_MS,
                debounce=MOST_MS,
                rust_timeout=CHECK_MS,
                ignore_permission_denied=True,
            )
            async for _ in changes:
                self._changed.set()
        except OSError as error:  # the system's limit is reached
            self.error = f"{error}"

    def _is_wanted(self, _: Change, path: str) -> bool:
        root = next((each for each in self._roots if path.startswith(f"{each}/")), None)
        if root is None:
            return True
        *folders, name = path.removeprefix(f"{root}/").split("/")
        return not is_ignored_file(name) and not any(map(is_ignored_folder, (*folders, name)))


def _identity(roots: Sequence[str]) -> list[tuple[int, int] | None]:
    """Another one when a root was removed and made again, or mounted."""
    found = list[tuple[int, int] | None]()
    for root in roots:
        try:
            status = os.stat(root)
        except OSError:
            found.append(None)
        else:
            found.append((status.st_dev, status.st_ino))
    return found
