"""The short chaos run of an ingest: each of its processes is killed at least once."""

import asyncio
import secrets
from pathlib import Path

import pytest

from tests.chaos.ingest.driver import VICTIMS, IngestDriver, IngestReport

PAGES, KILLS = 80, 5


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> IngestReport:
    """One run for all tests here."""
    seed = secrets.randbelow(10**6)
    print(f"seed {seed}")
    # Short: a socket's path has a limit.
    folder = Path(tmp_path_factory.mktemp("ci"))
    found = asyncio.run(IngestDriver(folder, pages=PAGES, kills=KILLS, seed=seed, say=print).run())
    print(found)
    return found


def test_every_process_was_killed(report: IngestReport):
    assert report.kills.keys() == set(VICTIMS)
    assert (
        report.begun == report.kills["ingest"] + report.refused + 2
    )  # the first one, and the one of the unchanged folder


def test_every_page_is_there_once_with_its_own_vectors(report: IngestReport):
    assert report.pages == PAGES
    assert (report.missing, report.strange, report.not_done, report.wrong) == ((), (), (), ())
    assert report.problems == ()


def test_nothing_is_embedded_again_that_was_acknowledged(report: IngestReport):
    assert report.embedded_twice == ()
    assert report.recomputed_at_end == 0
