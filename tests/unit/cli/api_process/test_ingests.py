"""Ingests as an API process knows them."""

import contextlib
import os
import time
from pathlib import Path

import pytest

from cli.api_process.ingests import ManifestIngests, allowed_folder, shown_run
from ingest.documents.problem import Problem
from ingest.manifest.database import Database
from ingest.manifest.manifest import Manifest, manifest_path
from ingest.manifest.runs import Run, RunRecords
from jobs.errors import InvalidInput
from jobs.ingests.ingests import FolderNotAllowed, NewIngest
from jobs.ingests.run import RunProgress
from jobs.settings import Settings
from tests.support.waiting import until_async


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", ingest_folders=(tmp_path / "allowed",))


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    folder = tmp_path / "allowed"
    folder.mkdir()
    return folder


def test_a_folder_that_is_allowed_and_those_in_it_may_be_ingested(allowed: Path):
    (allowed / "a b").mkdir()

    assert allowed_folder(str(allowed), [str(allowed)]) == allowed
    assert allowed_folder(f"{allowed}/a b/", [str(allowed)]) == allowed / "a b"


@pytest.mark.parametrize("path", ["/etc", "{0}/../secret", "{0}x", "", "allowed", "--prune", "{0}/link"])
def test_no_other_folder_may(allowed: Path, path: str):
    (allowed.parent / "secret").mkdir()
    (allowed.parent / "allowedx").mkdir()
    (allowed / "link").symlink_to(allowed.parent / "secret")

    with pytest.raises(FolderNotAllowed):
        allowed_folder(path.format(allowed), [str(allowed)])


def test_where_nothing_is_allowed_nothing_may(allowed: Path):
    with pytest.raises(FolderNotAllowed):
        allowed_folder(str(allowed), [])


def test_what_is_no_folder_is_named(allowed: Path):
    (allowed / "file").touch()

    for name in ("file", "missing"):
        with pytest.raises(InvalidInput, match=f"no folder .*{name}"):
            allowed_folder(str(allowed / name), [str(allowed)])


async def test_before_the_first_ingest_there_are_none(settings: Settings):
    ingests = ManifestIngests(settings)

    assert await ingests.runs(10) == ()
    assert await ingests.problems("documents") == ()
    assert not settings.data.exists()


async def test_runs_and_problems_are_those_of_the_manifest(settings: Settings):
    database = Database(manifest_path(settings))
    runs, manifest = RunRecords(database), Manifest(database)
    runs.end(runs.begin("notes", "mlxq ingest /notes"), "done", RunProgress(documents_done=3))
    runs.begin("documents", "mlxq ingest /docs")
    manifest.open_document("documents", "text", "d1", "f")
    manifest.page_failed("documents", "text", "d1", 2, Problem("unreadable", "Save it anew."))
    database.close()

    newest, oldest = await ManifestIngests(settings).runs(10)
    [problem] = await ManifestIngests(settings).problems("documents")

    assert (newest.collection, newest.state, newest.ended_at) == ("documents", "running", None)
    assert (oldest.collection, oldest.state, oldest.progress.documents_done) == ("notes", "done", 3)
    assert (problem.page, problem.kind, problem.message) == (2, "unreadable", "Save it anew.")


def test_a_run_that_says_nothing_any_more_is_lost():
    now = time.time()
    run = Run(
        1, "documents", "mlxq ingest /docs", os.getpid(), now - 100, now - 90, None, "running", RunProgress()
    )

    shown = shown_run(run, now)

    assert (shown.state, shown.ended_at) == ("lost", now - 90)


@pytest.mark.parametrize("name", ["", "-c", "../up", "a/b", "a\nb", "x" * 101])
async def test_a_collection_needs_a_proper_name(settings: Settings, allowed: Path, name: str):
    with pytest.raises(InvalidInput) as failed:
        await ManifestIngests(settings).begin(NewIngest(str(allowed), name))

    assert failed.value.param == "collection"


async def test_an_ingest_that_cannot_begin_says_why(tmp_path: Path, allowed: Path):
    """There is no store. It says so at once, or in the list where it came that far."""
    ingests = ManifestIngests(Settings(data=tmp_path / "data", ingest_folders=(allowed,)))

    async def failed_run() -> str | None:
        runs = await ingests.runs(1)
        return runs[0].progress.message if runs and runs[0].state == "failed" else None

    try:
        await ingests.begin(NewIngest(str(allowed), "documents"))
        why = await until_async(failed_run)
    except InvalidInput as error:
        why = error.message
    await ingests.aclose()

    assert "mlxq up" in why


async def test_an_ingest_runs_no_code_of_the_folder_that_the_server_was_started_in(
    tmp_path: Path, allowed: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli" / "__init__.py").write_text("open('was_run', 'w'); raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    ingests = ManifestIngests(settings)

    with contextlib.suppress(InvalidInput):  # there is no store
        await ingests.begin(NewIngest(str(allowed), "documents"))
    await ingests.aclose()

    assert not (tmp_path / "was_run").exists()
