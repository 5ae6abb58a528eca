"""Files that are looked at before they are opened, gzips, and files that change."""

import errno
import gzip
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.documents import unpack
from ingest.documents.problem import DocumentError
from ingest.documents.source import cannot_be_read, check_unchanged, open_source


def problem_of(path: Path) -> tuple[str, str]:
    with pytest.raises(DocumentError) as raised:
        open_source(path)
    return raised.value.problem.kind, raised.value.problem.message


def listening_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(path))


MADE: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: path.mkdir(), "not_a_file"),
    (os.mkfifo, "not_a_file"),
    (listening_socket, "not_a_file"),
    (lambda path: path.symlink_to("/dev/zero"), "not_a_file"),
    (lambda path: path.symlink_to("nowhere"), "dangling"),
    (lambda path: path.symlink_to(path.name), "dangling"),
    (lambda path: None, "missing"),
    (lambda path: path.touch(), "empty"),
    (lambda path: path.write_bytes(gzip.compress(b"")), "empty"),
    (lambda path: path.write_bytes(gzip.compress(os.urandom(5000))[:-100]), "truncated"),
    (lambda path: path.write_bytes(gzip.compress(b"a")[:-1]), "truncated"),
    (lambda path: path.write_bytes(gzip.compress(b"abc" * 99)[:-8] + bytes(8)), "unreadable"),
    (lambda path: path.write_bytes(b"\x1f\x8b\x08" + bytes(7) + b"\xff" * 99), "unreadable"),
]


@pytest.mark.parametrize(("make", "kind"), MADE)
def test_what_is_no_readable_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], kind: str
):
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    make(tmp_path / "made")

    assert problem_of(tmp_path / "made")[0] == kind


def test_a_file_without_the_right_to_read_it_says_so():
    error = cannot_be_read(Path("some.pdf"), PermissionError(errno.EACCES, "Permission denied"))

    assert error.problem.kind == "unreadable"
    assert "right to read" in error.problem.message


def test_a_gzip_is_its_content(tmp_path: Path):
    path = tmp_path / "page.txt.gz"
    path.write_bytes(gzip.compress(b"one ") + gzip.compress(b"and two"))

    source = open_source(path)

    assert source.head == b"one and two"
    assert source.size_bytes == 11
    with source.open() as file:
        assert file.read() == b"one and two"


def test_a_gzip_bomb_stops_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(unpack, "MAX_UNPACKED_BYTES", 3 << 20)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(4 << 20)))

    kind, message = problem_of(path)

    assert kind == "too_large"
    assert "3 MiB" in message


def test_a_file_that_grows_is_noticed(tmp_path: Path):
    path = tmp_path / "growing.txt"
    path.write_bytes(b"half")
    source = open_source(path)
    check_unchanged(path, source.version)

    with path.open("ab") as file:
        file.write(b" and half")

    with pytest.raises(DocumentError) as raised:
        check_unchanged(path, source.version)
    assert raised.value.problem.kind == "changing"


def test_a_file_that_is_gone_after_reading_is_noticed(tmp_path: Path):
    path = tmp_path / "gone.txt"
    path.write_bytes(b"text")
    source = open_source(path)
    path.unlink()

    with pytest.raises(DocumentError) as raised:
        check_unchanged(path, source.version)
    assert raised.value.problem.kind == "changing"
