"""Which files a walk finds."""

import os
import socket
from pathlib import Path

import pytest

from ingest.scan.walk import Walk, walk


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def found(result: Walk, folder: Path) -> list[str]:
    return [os.path.relpath(each.path, folder) for each in result.files]


def test_files_come_in_the_order_of_their_paths(tmp_path: Path):
    make(tmp_path, "b/2.pdf", "b/1.pdf", "a.pdf", "c/d/e.txt")

    assert found(walk([str(tmp_path)]), tmp_path) == ["a.pdf", "b/1.pdf", "b/2.pdf", "c/d/e.txt"]


def test_hidden_and_temporary_names_are_left_out(tmp_path: Path):
    make(
        tmp_path,
        *(
            ".hidden.pdf",
            ".git/config",
            "@eaDir/a.pdf/SYNOPHOTO_THUMB_M.jpg",
            "#recycle/old.pdf",
            "__MACOSX/a.pdf",
        ),
        *(
            "~$report.docx",
            "report.txt~",
            "a.pdf.part",
            "b.pdf.crdownload",
            "c.tmp",
            "Thumbs.db",
            "x.pdf.sb-ab12-Xy9",
        ),
        "report.docx",
    )

    result = walk([str(tmp_path)])

    assert found(result, tmp_path) == ["report.docx"]
    assert result.ignored == 12 and result.problems == {}


def test_what_is_named_itself_is_not_left_out(tmp_path: Path):
    make(tmp_path, ".private/a.pdf", ".b.pdf")

    result = walk([str(tmp_path / ".private"), str(tmp_path / ".b.pdf")])

    assert found(result, tmp_path) == [".private/a.pdf", ".b.pdf"]


def test_folders_that_overlap_are_walked_once(tmp_path: Path):
    make(tmp_path, "a/b/1.pdf", "a/2.pdf")

    result = walk([str(tmp_path / "a/b"), str(tmp_path / "a"), str(tmp_path / "a/2.pdf")])

    assert found(result, tmp_path) == ["a/b/1.pdf", "a/2.pdf"]


def test_a_link_in_a_circle_ends(tmp_path: Path):
    make(tmp_path, "a/1.pdf")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")

    result = walk([str(tmp_path)])

    assert found(result, tmp_path) == ["a/1.pdf"]
    assert {path: each.kind for path, each in result.problems.items()} == {str(tmp_path / "self"): "dangling"}


def test_a_folder_is_found_under_its_own_name_before_a_link_to_it(tmp_path: Path):
    make(tmp_path, "real/1.pdf")
    (tmp_path / "a-link").symlink_to(tmp_path / "real")
    make(tmp_path / "outside", "2.pdf")
    root = tmp_path / "root"
    make(root, "3.pdf")
    (root / "beyond").symlink_to(tmp_path / "outside")

    assert found(walk([str(tmp_path / "real"), str(tmp_path)]), tmp_path) == [
        "real/1.pdf",
        "outside/2.pdf",
        "root/3.pdf",
    ]
    assert found(walk([str(root)]), root) == ["3.pdf", "beyond/2.pdf"]


def test_links_to_a_file_are_files_that_share_an_inode(tmp_path: Path):
    make(tmp_path, "a.pdf")
    (tmp_path / "b.pdf").symlink_to("a.pdf")
    os.link(tmp_path / "a.pdf", tmp_path / "c.pdf")

    result = walk([str(tmp_path)])

    assert found(result, tmp_path) == ["a.pdf", "b.pdf", "c.pdf"]
    assert len({each.inode for each in result.files}) == 1


def test_what_cannot_be_read_is_a_problem_and_the_walk_goes_on(tmp_path: Path):
    make(tmp_path, "z.pdf")
    (tmp_path / "dangling.pdf").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.pdf")
    (tmp_path / "empty.pdf").touch()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))

        result = walk([str(tmp_path)])

    assert found(result, tmp_path) == ["z.pdf"]
    assert {Path(path).name: each.kind for path, each in result.problems.items()} == {
        "dangling.pdf": "dangling",
        "pipe.pdf": "not_a_file",
        "s": "not_a_file",
        "empty.pdf": "empty",
    }


def test_a_folder_that_cannot_be_read_is_told_apart_from_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make(tmp_path, "open/1.pdf", "closed/2.pdf")
    closed = str(tmp_path / "closed")
    scandir = os.scandir

    def refuse(path: str):
        """As for a user without the right: the tests may run as root, who has them all."""
        if path == closed:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    result = walk([str(tmp_path)])

    assert found(result, tmp_path) == ["open/1.pdf"]
    assert result.unread == (closed,)
    assert result.problems[closed].kind == "unreadable" and "right" in result.problems[closed].message


def test_names_that_are_no_unicode_are_found_as_they_are(tmp_path: Path):
    odd = os.fsencode(tmp_path) + b"/caf\xe9.pdf"
    decomposed = os.fsencode(tmp_path) + "/e\u0301.pdf".encode()
    for path in (odd, decomposed):
        with open(path, "wb") as file:
            file.write(b"x")

    result = walk([str(tmp_path)])

    assert {os.fsencode(each.path) for each in result.files} == {odd, decomposed}
