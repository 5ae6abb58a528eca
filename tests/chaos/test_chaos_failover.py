"""The chaos run in which the primary Redis dies, under real sentinels."""

import asyncio
import secrets

import pytest

from tests.chaos.audit.report import NEVER, Report
from tests.chaos.driver import Driver
from tests.chaos.faults.sentinels import Sentinels
from tests.chaos.plan import failover


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One run for all tests here; the seed is in the report, which a failure prints."""
    plan = failover(secrets.randbelow(10**6))
    print(plan)
    folder = tmp_path_factory.mktemp("failover")
    found = asyncio.run(Driver(plan, Sentinels(folder), folder, print).run())
    print(found)
    return found


def test_the_primary_died_while_jobs_were_under_way(report: Report):
    assert report.faults["failover"] >= 2
    assert report.submitted > 400
    assert report.streams > 5


@pytest.mark.parametrize("sort", NEVER)
def test_no_job_or_key_is_ever(report: Report, sort: str):
    assert not report.problems[sort], f"{NEVER[sort]}; {report}"
