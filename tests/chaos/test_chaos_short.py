"""The short chaos run: every kind of fault once, a few thousand jobs."""

import asyncio
import secrets

import pytest

from tests.chaos.audit.report import NEVER, Report
from tests.chaos.driver import Driver
from tests.chaos.faults.site import OneServer
from tests.chaos.plan import FAULTS, short


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One run for all tests here; the seed is in the report, which a failure prints."""
    plan = short(secrets.randbelow(10**6))
    print(plan)
    folder = tmp_path_factory.mktemp("chaos")
    found = asyncio.run(Driver(plan, OneServer(folder, plan.seed), folder, print).run())
    print(found)
    return found


def test_every_kind_of_fault_happened(report: Report):
    assert all(report.faults[name] for name in FAULTS)
    assert all(report.proxy.values())
    assert all(report.strangers[name] for name in ("maintenance", "scrape", "rq info"))
    assert report.faults["redis_pause measured"]
    assert report.submitted > 1500
    assert report.streams > 20
    assert report.newer > 200
    assert report.hit_last


@pytest.mark.parametrize("sort", NEVER)
def test_no_job_or_key_is_ever(report: Report, sort: str):
    assert not report.problems[sort], f"{NEVER[sort]}; {report}"


def test_every_problem_that_the_report_knows_is_asserted(report: Report):
    assert report.problems.keys() == NEVER.keys()
