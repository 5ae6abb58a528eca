"""The short chaos run: every kind of fault once, a few thousand jobs."""

import asyncio
import secrets
from pathlib import Path

import pytest

from tests.chaos.driver import Driver
from tests.chaos.plan import TURNS, short
from tests.chaos.report import Report


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One run for all tests here; the seed is in the report, which a failure prints."""
    plan = short(secrets.randbelow(10**6))
    print(plan)
    found = asyncio.run(Driver(plan, tmp_path_factory.mktemp("chaos"), print).run())
    print(found)
    return found


def test_every_kind_of_fault_happened(report: Report):
    assert all(report.faults[name] for name in TURNS)
    assert all(report.proxy.values())
    assert all(report.strangers[name] for name in ("maintenance", "scrape", "rq info"))
    assert report.submitted > 2000


@pytest.mark.parametrize(
    ("sort", "meaning"),
    [
        ("lost", "every acknowledged job has ended, and its producer was told"),
        ("doubled", "each has one result entry, and each order one job"),
        ("wrong", "the right vectors for the right job, told as stored"),
        ("surprising", "innocent jobs finished, the others failed with their own code"),
        ("told twice", "no waiter was told twice"),
        ("late", "innocent jobs settled within the lease and a second of the last fault"),
        ("unseen", "rq knows every live worker"),
        ("left behind", "no lease, execution or other key is left"),
    ],
)
def test_nothing_is(report: Report, sort: str, meaning: str):
    assert not report.problems[sort], f"{meaning}; {report}"
