"""How far an ingest is, by what is counted."""

import msgspec

from cli.ingest.display.meter import Meter, WorkCounts
from cli.ingest.display.rates import WINDOW_S, Rate
from ingest.scan.scanner import ScanProgress

BEGUN = WorkCounts(
    documents_total=10,
    documents_done=0,
    documents_failed=0,
    not_documents=0,
    pages_failed=0,
    read=0,
    embedded=0,
    stored=0,
    pages_done=0,
    bytes_total=1000,
    bytes_done=0,
    held_up_by="reading",
    waiting_for="",
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_rate_is_that_of_the_last_seconds():
    rate = Rate()
    for second in range(100):
        rate.per_s(second * 10, second)

    assert rate.per_s(990, 100) < 10
    assert rate.per_s(990, 100 + WINDOW_S * 2) == 0.0


def test_the_end_is_guessed_by_bytes():
    clock, counts = Clock(), BEGUN
    meter = Meter(clock)
    meter.work(lambda: counts)
    assert meter.read().eta_s is None

    clock.now, counts = 10, msgspec.structs.replace(BEGUN, documents_done=1, bytes_done=250, pages_done=40)
    progress = meter.read()

    assert progress.eta_s == 30
    assert {stage.name: stage.per_s for stage in progress.stages}["done"] == 4.0
    assert progress.held_up_by == "reading"


def test_while_something_is_away_nothing_is_guessed():
    clock = Clock()
    meter = Meter(clock)
    meter.work(lambda: msgspec.structs.replace(BEGUN, bytes_done=250, waiting_for="Redis is away."))
    clock.now = 60

    progress = meter.read()

    assert progress.eta_s is None and progress.message == "Redis is away."


def test_files_that_are_no_documents_are_looked_at_and_none_that_failed():
    meter = Meter(Clock())
    meter.work(lambda: msgspec.structs.replace(BEGUN, documents_done=2, documents_failed=1, not_documents=4))

    progress = meter.read()

    assert progress.stages[0].done == 7 and progress.documents_failed == 1


def test_a_look_counts_files_first_and_then_what_is_read_of_them():
    meter, looked = Meter(Clock()), ScanProgress()
    meter.look(looked)
    looked.found = 12
    assert [(stage.name, stage.done, stage.total) for stage in meter.read().stages] == [("look", 12, None)]

    looked.hashing.files_total, looked.hashing.bytes_total, looked.hashing.bytes_done = 5, 500, 100
    assert [(stage.name, stage.done, stage.total) for stage in meter.read().stages] == [
        ("look", 0, 5),
        ("hash", 100, 500),
    ]


def test_what_was_counted_last_stays_when_nothing_runs_any_more():
    counts = BEGUN
    meter = Meter(Clock())
    meter.work(lambda: counts)
    meter.read()
    counts = msgspec.structs.replace(BEGUN, documents_done=10)

    meter.rest("")

    assert meter.rests and meter.read().documents_done == 10
