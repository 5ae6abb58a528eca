"""Ingests that run, and the lock that each has on its collection."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ingest.manifest.database import Database
from ingest.manifest.lock import CollectionBusy, hold_collection
from ingest.manifest.runs import DEAD_AFTER_S, RunRecords
from jobs.ingests.run import RunProgress, StageProgress
from tests.support.folders import ROOT


@pytest.fixture
def runs(tmp_path: Path):
    database = Database(tmp_path / "m.sqlite")
    yield RunRecords(database)
    database.close()


def test_a_run_tells_how_far_it_is_and_how_it_ended(runs: RunRecords):
    progress = RunProgress(stages=(StageProgress("read", 3, 10, per_s=1.5),), held_up_by="device")
    run = runs.begin("c", "mlxq ingest /docs")
    runs.report(run, progress)

    (found,) = runs.list()
    assert found.progress == progress and found.pid == os.getpid() and found.is_alive(time.time())

    runs.end(run, "stopped", progress)
    (found,) = runs.list("c")
    assert found.state == "stopped" and found.ended_at and not found.is_alive(time.time())
    assert runs.list("other") == []


def test_a_run_that_says_nothing_any_more_is_dead(runs: RunRecords):
    runs.begin("c", "")

    (found,) = runs.list()

    assert not found.is_alive(time.time() + DEAD_AFTER_S + 1)


def test_a_run_whose_process_is_gone_is_dead_at_once(tmp_path: Path, runs: RunRecords):
    code = (
        "import os, sys; from pathlib import Path; from ingest.manifest.database import Database; "
        "from ingest.manifest.runs import RunRecords; "
        "RunRecords(Database(Path(sys.argv[1]))).begin('c', ''); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "m.sqlite")], cwd=ROOT, check=False)

    (found,) = runs.list()

    assert found.state == "running" and not found.is_alive(time.time())


def test_the_newest_runs_are_listed_first(runs: RunRecords):
    first, second = runs.begin("c", "1"), runs.begin("d", "2")

    assert [each.id for each in runs.list()] == [second, first]
    assert [each.id for each in runs.list(limit=1)] == [second]


def test_a_second_ingest_into_a_collection_is_refused_and_told_whose_it_is(tmp_path: Path):
    with hold_collection(tmp_path, "documents"):
        with pytest.raises(CollectionBusy, match=rf"pid {os.getpid()}\).*'documents'"):
            hold_collection(tmp_path, "documents").__enter__()
        with hold_collection(tmp_path, "../other"):
            pass
    with hold_collection(tmp_path, "documents"):
        pass
