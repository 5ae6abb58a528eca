from datetime import UTC, datetime, timedelta

import pytest

from cli.tables.table import table
from cli.tables.units import age, moment, size

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "-"),
        (812, "812 B"),
        (1000, "1 KB"),
        (4_130_000, "4.1 MB"),
        (23_900_000, "23 MB"),
        (23_000_000_000, "23 GB"),
        (2_019_393_189, "2.0 GB"),
        (1_500_000_000_000, "1.5 TB"),
    ],
)
def test_a_size_is_short(size_bytes: int, shown: str):
    assert size(size_bytes) == shown


@pytest.mark.parametrize(
    ("delta", "shown"),
    [
        (timedelta(), "Less than a second ago"),
        (timedelta(seconds=1), "1 second ago"),
        (timedelta(seconds=59), "59 seconds ago"),
        (timedelta(seconds=100), "About a minute ago"),
        (timedelta(minutes=59), "59 minutes ago"),
        (timedelta(minutes=80), "About an hour ago"),
        (timedelta(minutes=100), "2 hours ago"),
        (timedelta(hours=47), "47 hours ago"),
        (timedelta(days=13), "13 days ago"),
        (timedelta(days=21), "3 weeks ago"),
        (timedelta(days=90), "3 months ago"),
        (timedelta(days=800), "2 years ago"),
        (timedelta(minutes=-4, seconds=-30), "4 minutes from now"),
        (timedelta(days=-365 * 100), "Forever"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(delta: timedelta, shown: str):
    assert age(NOW - delta, NOW) == shown


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00.000000000Z",
        "2026-01-01T01:00:00.0+01:00",
        "2026-01-01T00:00:00",
    ],
)
def test_every_form_of_a_moment_is_read(text: str):
    assert moment(text) == NOW


def test_columns_begin_where_their_headings_do():
    lines = [*table(("NAME", "ID"), [("短い", "a"), ("e\u0301", "b"), ("", "")])]
    assert lines == ["NAME    ID", "短い    a", "e\u0301       b", ""]
