"""/ui/ingest: ingests that run and that ran, what went wrong, and beginning one."""

import time
from typing import Literal

import httpx
import pytest

from jobs.ingests.ingests import NewIngest
from jobs.ingests.problem import IngestProblem
from jobs.ingests.run import IngestRun, RunProgress, RunState, StageProgress
from jobs.search.errors import StoreUnavailable
from tests.support.console.drawn_collections import DrawnCollections
from tests.support.console.memory_ingests import MemoryIngests
from tests.unit.api.ui.reading import links, one, page, texts

PROGRESS = RunProgress(
    stages=(
        StageProgress("scan", 40, 40, "files"),
        StageProgress("read", 180, 550, per_s=41.2),
        StageProgress("embed", 120, None, per_s=3.3),
    ),
    held_up_by="embed",
    eta_s=75,
    documents_done=30,
    documents_skipped=1,
    documents_failed=2,
)


def ended(run: int, state: RunState | Literal["lost"], progress: RunProgress | None = None) -> IngestRun:
    now = time.time()
    return IngestRun(
        run, "documents", "mlxq ingest /docs", now - 7300, now - 7000, state, progress or RunProgress()
    )


async def test_a_running_ingest_shows_its_stages_and_what_holds_it_up(
    console: httpx.AsyncClient, ingests: MemoryIngests
):
    ingests.known = [ingests.run("documents", "mlxq ingest /docs", PROGRESS)]

    reply = await console.get("/ui/ingest")

    assert texts(reply, ".stages li") == [
        "scan 40 of 40 files",
        "read 180 of 550 pages 41.2 pages/s",
        "embed 120 pages 3.30 pages/s",
    ]
    assert texts(reply, ".slowest .stage-name") == ["embed"]
    bars = [each.attributes for each in page(reply).css("progress")]
    assert [(each.get("value"), each.get("max")) for each in bars] == [
        ("40", "40"),
        ("180", "550"),
        (None, None),
    ]
    said = " ".join(texts(reply, ".run"))
    assert "about 1 min 15 s left; the others wait for embed" in said
    assert "30 documents ingested, 1 document already there, 2 documents failed" in said
    assert one(reply, "#runs").attributes["hx-trigger"] == "every 2s"


async def test_past_ingests_are_listed_and_the_page_rests(console: httpx.AsyncClient, ingests: MemoryIngests):
    ingests.known = [
        ended(4, "done", RunProgress(documents_done=2, documents_failed=1)),
        ended(3, "lost", RunProgress(documents_done=1)),
        ended(2, "stopped"),
        ended(1, "done"),
    ]

    reply = await console.get("/ui/ingest")

    assert texts(reply, ".runs .state") == ["done", "killed", "stopped", "done"]
    assert "Begin it again: it goes on where it was." in texts(reply, ".runs tbody tr")[1]
    assert texts(reply, ".runs tbody tr")[3].endswith("nothing to do")
    assert links(reply, ".runs a") == ["/ui/ingest/problems?collection=documents"]
    assert "hx-trigger" not in one(reply, "#runs").attributes


async def test_a_folder_that_is_allowed_is_ingested(console: httpx.AsyncClient, ingests: MemoryIngests):
    reply = await console.post(
        "/ui/ingest",
        data={"folder": " /home/ada/Documents/Talks ", "collection": "talks", "kind": ["text", "images"]},
    )

    assert (reply.status_code, reply.headers["location"]) == (303, "/ui/ingest")
    assert ingests.begun == [NewIngest("/home/ada/Documents/Talks", "talks", text=True, images=True)]


async def test_a_folder_that_is_not_allowed_is_refused_and_the_form_keeps_it(
    console: httpx.AsyncClient, ingests: MemoryIngests
):
    reply = await console.post("/ui/ingest", data={"folder": "/etc", "collection": "documents"})

    assert reply.status_code == 400
    assert ingests.begun == []
    assert "MLXQ_INGEST_FOLDERS" in one(reply, "[role=alert]").text()
    field = one(reply, 'input[name="folder"]').attributes
    assert (field["value"], field["aria-invalid"]) == ("/etc", "true")


async def test_where_nothing_is_allowed_there_is_no_form_but_how_to_allow_it(
    console: httpx.AsyncClient, ingests: MemoryIngests
):
    ingests.allowed = ()

    reply = await console.get("/ui/ingest")

    assert page(reply).css("form") == []
    assert "MLXQ_INGEST_FOLDERS" in reply.text


async def test_ingests_are_shown_while_the_store_is_away(
    console: httpx.AsyncClient, collections: DrawnCollections, ingests: MemoryIngests
):
    collections.failures["list_collections"] = StoreUnavailable()
    ingests.known = [ended(1, "done")]

    reply = await console.get("/ui/ingest")

    assert reply.status_code == 200
    assert texts(reply, ".runs .state") == ["done"]


async def test_problems_name_the_file_the_page_and_what_to_do_and_can_be_tried_again(
    console: httpx.AsyncClient, ingests: MemoryIngests
):
    ingests.problems_of["documents"] = (
        IngestProblem("/docs/a.pdf", None, "encrypted", "Use `--password-file`.", is_warning=False, at=0),
        IngestProblem("/docs/b.pdf", 3, "no_ink", "Install its fonts.", is_warning=True, at=0),
    )

    reply = await console.get("/ui/ingest/problems?collection=documents")
    again = await console.post("/ui/ingest/retry", data={"collection": "documents"})

    assert texts(reply, "tbody tr") == [
        "/docs/a.pdf encrypted Use --password-file.",
        "/docs/b.pdf 3 no ink Install its fonts.",
    ]
    assert "1 failure, 1 warning" in texts(reply, "main")[0]
    assert again.status_code == 303
    assert ingests.retried == ["documents"]


async def test_warnings_alone_cannot_be_tried_again(console: httpx.AsyncClient, ingests: MemoryIngests):
    ingests.problems_of["documents"] = (
        IngestProblem("/docs/b.pdf", 3, "no_ink", "Install its fonts.", is_warning=True, at=0),
    )

    reply = await console.get("/ui/ingest/problems?collection=documents")

    assert page(reply).css("form") == []


@pytest.mark.parametrize(("content", "status"), [(b"folder=\xff", 400), (b"x" * 70_000, 413), (b"", 400)])
async def test_a_form_that_cannot_be_read_is_refused(
    console: httpx.AsyncClient, ingests: MemoryIngests, content: bytes, status: int
):
    reply = await console.post("/ui/ingest", content=content)

    assert reply.status_code == status
    assert ingests.begun == []
