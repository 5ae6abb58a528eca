"""Changes in folders are noticed, those of nobody's documents are not."""

import asyncio
import shutil
from pathlib import Path

import pytest

from ingest.scan import watch
from ingest.scan.watch import FolderWatch

PATIENCE_S = 30


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watch, "QUIET_MS", 50)
    monkeypatch.setattr(watch, "CHECK_MS", 50)


async def watched(watching: FolderWatch, folder: Path) -> None:
    """Until changes are noticed: the watch begins in another thread."""
    for number in range(100):
        (folder / f"probe {number}").touch()
        if await watching.changed(0.3):
            break
    while await watching.changed(0.5):
        pass


async def test_a_new_file_a_change_a_move_and_a_removal_are_noticed(tmp_path: Path):
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / "a.pdf"
    async with FolderWatch([str(tmp_path)]) as watching:
        await watched(watching, tmp_path)
        for change in (
            lambda: path.write_text("A"),
            lambda: path.write_text("B"),
            lambda: path.rename(tmp_path / "b.pdf"),
            lambda: (tmp_path / "b.pdf").unlink(),
        ):
            change()
            assert await watching.changed(PATIENCE_S)


async def test_hidden_and_temporary_names_are_not_noticed(tmp_path: Path):
    async with FolderWatch([str(tmp_path)]) as watching:
        await watched(watching, tmp_path)
        (tmp_path / ".hidden").touch()
        (tmp_path / "a.pdf.part").touch()
        (tmp_path / "@eaDir").mkdir()
        (tmp_path / "@eaDir" / "a.jpg").touch()

        assert not await watching.changed(1)


async def test_a_folder_that_comes_back_is_watched_again(tmp_path: Path):
    root = tmp_path / "disk"
    async with FolderWatch([str(root)]) as watching:
        assert not await watching.changed(0.1)
        root.mkdir()

        assert await watching.changed(0)
        await watched(watching, root)

        (root / "a.pdf").touch()
        assert await watching.changed(PATIENCE_S)


async def test_a_watch_ends_at_once(tmp_path: Path):
    watching = FolderWatch([str(tmp_path)])
    async with asyncio.timeout(PATIENCE_S):
        async with watching:
            await watched(watching, tmp_path)
    shutil.rmtree(tmp_path)
