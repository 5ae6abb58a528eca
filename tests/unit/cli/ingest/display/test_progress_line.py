"""How far an ingest is, in one line."""

import msgspec

from cli.ingest.display.amounts import told_bytes, told_count, told_rate, told_time
from cli.ingest.display.progress_line import progress_line
from jobs.ingests.run import RunProgress, StageProgress

RUNNING = RunProgress(
    stages=(
        StageProgress("files", 12, 50, "files", 0.41),
        StageProgress("read", 1310, None, "pages", 41.0),
        StageProgress("embed", 1204, None, "pages", 38.4),
        StageProgress("store", 1190, None, "chunks", 80.0),
        StageProgress("done", 1190, None, "pages", 38.2),
    ),
    held_up_by="the device",
    eta_s=130,
    documents_failed=1,
    pages_failed=2,
)


def test_a_wide_line_has_every_stage():
    assert progress_line(RUNNING, 200) == (
        "12 of 50 files · 0.41 files/s · read 1,310, embed 1,204, store 1,190 · 38 pages/s · 2 min 10 s left"
        " · 3 failed · waits for the device"
    )


def test_a_line_of_eighty_columns_says_what_holds_it_up():
    line = progress_line(RUNNING, 79)

    assert line == "12 of 50 files · 38 pages/s · 2 min 10 s left · waits for the device"


def test_what_does_not_move_has_no_rate():
    still = RunProgress(stages=(StageProgress("files", 0, 50, "files"), StageProgress("done", 7)))

    assert progress_line(still, 79) == "0 of 50 files · 7 pages"


def test_no_line_is_longer_than_the_terminal():
    assert [width for width in range(140) if len(progress_line(RUNNING, width)) > width] == []


def test_a_narrow_line_keeps_what_matters_most():
    assert progress_line(RUNNING, 30) == "12 of 50 files · 38 pages/s"
    assert progress_line(RUNNING, 8) == "12 of 50"


def test_while_files_are_looked_at_their_bytes_are_counted():
    looking = RunProgress(
        stages=(
            StageProgress("look", 1204, 40_000, "files", 300),
            StageProgress("hash", 3_200_000_000, 100_000_000_000, "bytes", 512_000_000),
        )
    )

    assert progress_line(looking, 79) == "looking: 1,204 of 40,000 files · 3.2 GB of 100 GB · 512 MB/s"


def test_a_message_stands_where_the_cause_would():
    waiting = msgspec.structs.replace(RUNNING, message="no worker: start `mlxq up`")

    assert progress_line(waiting, 200).endswith("· no worker: start `mlxq up`")


def test_amounts_are_told_in_units_that_fit():
    assert [told_time(each) for each in (0.2, 59, 61, 3599, 3700, 90_000)] == [
        "0 s",
        "59 s",
        "1 min 1 s",
        "59 min",
        "1 h 1 min",
        "1 d 1 h",
    ]
    assert [told_bytes(each) for each in (0, 999, 1200, 512_000_000, 3.2e9, 5e12)] == [
        "0 bytes",
        "999 bytes",
        "1.2 kB",
        "512 MB",
        "3.2 GB",
        "5.0 TB",
    ]
    assert [told_rate(each, "pages") for each in (0.384, 3.84, 38.4)] == [
        "0.38 pages/s",
        "3.8 pages/s",
        "38 pages/s",
    ]
    assert (told_count(1, "page"), told_count(1204, "page")) == ("1 page", "1,204 pages")
