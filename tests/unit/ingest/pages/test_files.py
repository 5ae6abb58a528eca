"""Where documents lie now."""

import hashlib
import os
from pathlib import Path

import pytest

from ingest.pages.files import DocumentFiles
from jobs.search.errors import DocumentGone

CONTENT = b"what was ingested"
DOCUMENT = hashlib.sha256(CONTENT).hexdigest()


def written(path: Path, content: bytes = CONTENT) -> str:
    path.write_bytes(content)
    return str(path)


async def test_the_first_path_that_still_has_the_content_is_taken(tmp_path: Path):
    paths = [
        str(tmp_path / "gone"),
        written(tmp_path / "changed", b"other content"),
        written(tmp_path / "kept"),
    ]
    assert await DocumentFiles().locate(DOCUMENT, paths) == tmp_path / "kept"


async def test_paths_that_are_known_otherwise_are_tried_too(tmp_path: Path):
    kept = written(tmp_path / "moved")
    files = DocumentFiles(lambda document: [kept] if document == DOCUMENT else [])
    assert await files.locate(DOCUMENT, [str(tmp_path / "before")]) == tmp_path / "moved"


async def test_a_document_that_lies_nowhere_is_gone_and_each_path_says_why(tmp_path: Path):
    changed = written(tmp_path / "changed", b"other content")
    with pytest.raises(DocumentGone) as caught:
        await DocumentFiles().locate(DOCUMENT, [str(tmp_path / "gone"), changed, str(tmp_path)])
    message = caught.value.message
    assert f"{tmp_path}/gone is gone" in message
    assert f"{changed} has other content now" in message
    assert "mlxq ingest" in message


async def test_a_file_that_is_written_to_is_read_again(tmp_path: Path):
    files, path = DocumentFiles(), tmp_path / "file"
    await files.locate(DOCUMENT, [written(path)])
    written(path, CONTENT[::-1])  # as long as before
    os.utime(path, ns=(1, 1))
    with pytest.raises(DocumentGone):
        await files.locate(DOCUMENT, [str(path)])


async def test_a_pipe_is_never_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DocumentGone):
        await DocumentFiles().locate(DOCUMENT, [str(tmp_path / "pipe")])
