"""/ui/file: documents as they were ingested, and nothing else."""

from pathlib import Path

import httpx
import pytest

from tests.support.console.drawn_collections import DrawnCollections


@pytest.fixture
def document(collections: DrawnCollections) -> str:
    return collections.documents[0].id


def put(collections: DrawnCollections, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    collections.documents[0] = collections.documents[0]._replace(file=path)


async def test_a_pdf_is_shown_by_the_browser(console: httpx.AsyncClient, document: str):
    reply = await console.get(f"/ui/file/documents/{document}")

    assert reply.content == b"%PDF-1.7 and so on"
    assert reply.headers["content-type"] == "application/pdf"
    assert reply.headers["content-disposition"] == 'inline; filename="sent.pdf"'
    assert (
        "sandbox" not in reply.headers["content-security-policy"]
    )  # browsers' PDF readers do not work in it


async def test_a_part_of_a_file_can_be_asked_for(console: httpx.AsyncClient, document: str):
    reply = await console.get(f"/ui/file/documents/{document}", headers={"Range": "bytes=1-3"})

    assert (reply.status_code, reply.content) == (206, b"PDF")


@pytest.mark.parametrize(
    ("name", "content", "kind", "disposition"),
    [
        ("a.html", b"<script>alert(1)</script>", "application/octet-stream", "attachment"),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "application/octet-stream", "attachment"),
        ("a.docx", b"PK\x03\x04", "application/octet-stream", "attachment"),
        ("a.md", b"<script>alert(1)</script>", "text/plain; charset=utf-8", "inline"),
        ("a.pdf", b"<script>alert(1)</script>", "application/octet-stream", "attachment"),
        ("a.txt", b"\xff\xd8\xff\xe0", "image/jpeg", "inline"),
        ("a.webp", b"RIFF\0\0\0\0WEBPVP8 ", "image/webp", "inline"),
    ],
)
async def test_a_file_is_what_its_content_is_and_runs_nothing(
    console: httpx.AsyncClient,
    collections: DrawnCollections,
    document: str,
    tmp_path: Path,
    name: str,
    content: bytes,
    kind: str,
    disposition: str,
):
    put(collections, tmp_path / name, content)

    reply = await console.get(f"/ui/file/documents/{document}")

    assert reply.headers["content-type"] == kind
    assert reply.headers["content-disposition"].startswith(f"{disposition};")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in reply.headers["content-security-policy"]


async def test_a_file_that_has_gone_says_what_to_do(
    console: httpx.AsyncClient, collections: DrawnCollections, document: str
):
    collections.documents[0] = collections.documents[0]._replace(file=None)

    reply = await console.get(f"/ui/file/documents/{document}")

    assert reply.status_code == 410
    assert "mlxq ingest" in reply.text


@pytest.mark.parametrize(
    "path",
    ["documents/etc/passwd", "documents/%2Fetc%2Fpasswd", "documents/../../etc/passwd", "none/" + "0" * 64],
)
async def test_nothing_but_what_was_ingested_is_sent(console: httpx.AsyncClient, path: str):
    reply = await console.get(f"/ui/file/{path}")

    assert reply.status_code == 404
