"""Nothing that comes from files or from users is markup."""

from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from jobs.errors import InvalidInput
from jobs.ingests.problem import IngestProblem
from jobs.ingests.run import IngestRun, RunProgress, StageProgress
from tests.support.console.drawn_collections import DrawnCollections, DrawnDocument
from tests.support.console.drawn_pages import DrawnPage, Line
from tests.support.console.memory_ingests import MemoryIngests
from tests.unit.api.ui.reading import page

EVIL = '<script>alert("1")</script>'
WORD = "costs"
EVIL_IN_A_PATH = "%3Cscript%3Ealert(%221%22)%3C%2Fscript%3E"
EVIL_COLLECTION = '<img src=x onerror="alert(1)">'
"""It is a part of paths."""


@pytest.fixture
def collections(pdf: Path) -> DrawnCollections:
    """A document that is evil wherever it can be."""
    sheet = DrawnPage(600, 800, (Line(f"{WORD} {EVIL}", 50, 50),), label=EVIL, heading=EVIL)
    return DrawnCollections(
        [DrawnDocument((f"/docs/{EVIL}.pdf", f"/more/{EVIL}.pdf"), (sheet, sheet), EVIL_COLLECTION, pdf)]
    )


@pytest.fixture
def ingests() -> MemoryIngests:
    ingests = MemoryIngests((f"/docs/{EVIL}",))
    progress = RunProgress(
        stages=(StageProgress(EVIL, unit=EVIL),), held_up_by=EVIL, message=EVIL, documents_failed=1
    )
    ingests.known = [
        IngestRun(2, EVIL, EVIL, 0, None, "running", progress),
        IngestRun(1, EVIL, EVIL, 0, 1, "failed", progress),
    ]
    ingests.problems_of[EVIL] = (IngestProblem(EVIL, 1, EVIL, EVIL, is_warning=False, at=0),)
    return ingests


def is_harmless(reply: httpx.Response) -> bool:
    """No script but ours, no image that is not ours, and the evil is there to be read."""
    scripts = [each.attributes.get("src") or "" for each in page(reply).css("script")]
    images = [each.attributes for each in page(reply).css("img")]
    return (
        all(src.startswith("/ui/static/") for src in scripts)
        and not any("onerror" in each for each in images)
        and "alert(" in page(reply).text()
    )


@pytest.mark.parametrize(
    "path",
    [
        f"/ui/search?q={WORD}",
        f"/ui/search?q={WORD}&path={EVIL_IN_A_PATH}&in={EVIL_IN_A_PATH}",
        f"/ui/search?q={WORD}&rerank={EVIL_IN_A_PATH}",
        "/ui/ingest",
        f"/ui/ingest/problems?collection={EVIL_IN_A_PATH}",
    ],
)
async def test_pages_show_it_as_text(console: httpx.AsyncClient, path: str):
    reply = await console.get(path)

    assert is_harmless(reply), reply.text


@pytest.mark.parametrize("part", ["", "/hits"])
async def test_the_viewer_shows_it_as_text(
    console: httpx.AsyncClient, collections: DrawnCollections, part: str
):
    page_path = f"/ui/page/{quote(EVIL_COLLECTION)}/{collections.documents[0].id}/1{part}"

    reply = await console.get(f"{page_path}?q={WORD}+{EVIL_IN_A_PATH}&heat=all")

    assert reply.status_code == 200
    assert is_harmless(reply), reply.text


async def test_an_error_shows_it_as_text_and_commands_as_code(
    console: httpx.AsyncClient, collections: DrawnCollections
):
    collections.failures["search"] = InvalidInput(f"No {EVIL}: run `mlxq {EVIL}` and alert(2).")

    reply = await console.get(f"/ui/search?q={WORD}")

    assert is_harmless(reply)
    assert [each.text() for each in page(reply).css("#found code")] == [f"mlxq {EVIL}"]


async def test_a_file_that_is_sent_cannot_name_itself_into_another_header(
    console: httpx.AsyncClient, collections: DrawnCollections, tmp_path: Path
):
    path = tmp_path / 'a"; x=\r\nSet-Cookie: a=b.pdf'
    path.write_bytes(b"%PDF-1.7")
    collections.documents[0] = collections.documents[0]._replace(collection="documents", file=path)

    reply = await console.get(f"/ui/file/documents/{collections.documents[0].id}")

    assert reply.status_code == 200
    assert "set-cookie" not in reply.headers
