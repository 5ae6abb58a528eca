"""The chaos driver's own audit: what it must find, and what it must let pass."""

import random

import pytest
from fakeredis import FakeStrictRedis

from jobs.generate import GenerateJob, Piece, Pieces, Prompt
from jobs.store import record
from tests.chaos.audit.audit import Audit
from tests.chaos.audit.stored import Stored, log_problem
from tests.chaos.driver import reading_later_records
from tests.chaos.faults.garbage import Garbage
from tests.chaos.faults.losses import Heard, Loss
from tests.chaos.order import greedy
from tests.chaos.plan import short
from tests.chaos.producer import Note

PLAN = short(1)
LOSS = Loss(since=10.0, killed_at=11.0)
STORED = Stored(
    id="job", kind="single", order="1:5", status="finished", code=None, results=1, right=True, log="",
    ended_at_s=9.0, crashes=0, worker="w1.77.ab",
)  # fmt: skip


def note(
    *, acknowledged_at: float = 5.0, told_at: float = 6.0, late_s: float = 0.0, told: str = "finished",
    brief: bool = False,
) -> Note:  # fmt: skip
    sent_at = acknowledged_at - 0.1
    return Note(
        producer=1, number=5, kind="single", id="job", told=told, sent_at=sent_at, first_sent_at=sent_at,
        acknowledged_at=acknowledged_at, told_heard=Heard(told_at, late_s), brief=brief,
    )  # fmt: skip


def found(notes: list[Note], stored: list[Stored], *losses: Loss) -> dict[str, int]:
    audit = Audit(PLAN, notes, Garbage(FakeStrictRedis(), random.Random(0)), losses)
    audit.run(stored)
    return {sort: len(each) for sort, each in audit.problems.items() if each}


def test_a_run_in_which_all_is_well_has_no_problem():
    assert found([note()], [STORED]) == {}


@pytest.mark.parametrize(
    ("acknowledged_at", "losses", "problems"),
    [(10.5, [LOSS], {}), (9.5, [LOSS], {"lost": 1}), (11.5, [LOSS], {"lost": 1}), (10.5, [], {"lost": 1})],
)
def test_a_job_may_be_gone_only_if_it_was_acknowledged_in_lost_time(
    acknowledged_at: float, losses: list[Loss], problems: dict[str, int]
):
    assert found([note(acknowledged_at=acknowledged_at, told="expired")], [], *losses) == problems


@pytest.mark.parametrize(
    ("told_at", "late_s", "losses", "problems"),
    [
        (10.5, 0.0, [LOSS], {}),
        (9.5, 0.0, [LOSS], {"wrong": 1}),
        (10.5, 0.0, [], {"wrong": 1}),
        (11.4, 0.5, [LOSS], {}),  # it may have arrived at 10.9, before Redis was killed
        (11.4, 0.2, [LOSS], {"wrong": 1}),
        (9.9, 5.0, [LOSS], {"wrong": 1}),
    ],
)
@pytest.mark.parametrize("told", ["internal_error", "expired"])
def test_what_was_told_may_differ_from_what_is_stored_only_if_it_was_told_in_lost_time(
    told_at: float, late_s: float, losses: list[Loss], problems: dict[str, int], told: str
):
    assert found([note(told=told, told_at=told_at, late_s=late_s)], [STORED], *losses) == problems


@pytest.mark.parametrize(
    ("brief", "told_after_s", "problems"),
    [(True, PLAN.brief_ttl_s + 1, {}), (True, PLAN.brief_ttl_s - 1, {"lost": 1}), (False, 60, {"lost": 1})],
)
def test_only_a_result_that_lives_shortly_may_be_gone_and_not_before_its_time(
    brief: bool, told_after_s: float, problems: dict[str, int]
):
    expired = note(told="expired", told_at=4.9 + told_after_s, brief=brief)
    assert found([expired], []) == problems


@pytest.mark.parametrize(
    ("stored", "problems"),
    [
        (STORED._replace(status="started"), {"lost": 1}),
        (STORED._replace(results=2), {"doubled": 1}),
        (STORED._replace(right=False), {"wrong": 1}),
        (STORED._replace(log="events [1, 3]"), {"wrong": 1}),
        (STORED._replace(order="1:6"), {"wrong": 1}),
        (STORED._replace(status="failed", code="internal_error"), {"wrong": 1, "surprising": 1}),
        (STORED._replace(order="0:5", worker="w2.77.ab"), {"wrong": 2}),  # nor is it the note's order
    ],
)
def test_each_sort_of_damage_is_found(stored: Stored, problems: dict[str, int]):
    assert found([note()], [stored]) == problems


def test_a_rush_takes_as_long_as_the_last_of_its_own_jobs():
    def job(created_at: float, ended_at: float) -> Stored:
        return STORED._replace(id=f"{int(created_at * 1000):011x}" + "b" * 20, ended_at_s=ended_at)

    audit = Audit(PLAN, [], Garbage(FakeStrictRedis(), random.Random(0)), [])
    audit.run([job(99.0, 120.0), job(100.1, 104.0), job(100.9, 103.0), job(110.0, 111.0)])
    assert audit.rush_s(100.0) == 4.0
    assert audit.rush_s(200.0) == 0.0


def test_two_jobs_of_one_order_are_found():
    assert found([note()], [STORED, STORED._replace(id="other")]) == {"doubled": 1}


JOB = GenerateJob("text", Prompt("abc"), stream=True, max_tokens=4)


def event(number: int, text: str) -> tuple[bytes, dict[bytes, bytes]]:
    return f"{number}-0".encode(), {b"pieces": record.pack(Pieces(3, 0, (Piece(text=text),)))}


@pytest.mark.parametrize(
    ("log", "problem"),
    [
        ([event(1, "ab"), event(2, "ca")], ""),
        ([event(1, "ab"), event(3, "ca")], "events [1, 3]"),
        ([event(1, "ab"), event(2, "bc")], "'abbc' instead of 'abca'"),
        ([], "'' instead of 'abca'"),
    ],
)
def test_the_log_of_a_stream_has_no_gap_and_holds_the_whole_answer(
    log: list[tuple[bytes, dict[bytes, bytes]]], problem: str
):
    assert greedy(JOB) == "abca"
    assert log_problem(JOB, log) == problem


def test_reading_later_records_is_over_when_the_audit_is():
    own = record.VERSION
    during: list[int] = []

    def audit() -> None:
        with reading_later_records(by=1):
            during.append(record.VERSION)
            raise OSError("away")

    with pytest.raises(OSError, match="away"):
        audit()
    assert [*during, record.VERSION] == [own + 1, own]
