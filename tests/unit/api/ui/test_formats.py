"""Numbers and times as people read them."""

import pytest

from api.ui.formats import age, amount, code, duration, number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.01639, "0.0164"),
        (1, "1.00"),
        (12.345, "12.3"),
        (12_345.6, "12,346"),
        (-3.2, "-3.20"),
        (float("nan"), "–"),
    ],
)
def test_a_number_has_three_digits_that_count(value: float, text: str):
    assert number(value) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 pages"), (1, "1 page"), (2000, "2,000 pages")])
def test_an_amount_is_in_the_singular_or_the_plural(count: int, text: str):
    assert amount(count, "page") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0123, "12 ms"),
        (-1, "0 ms"),
        (12.4, "12 s"),
        (59.7, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (7200, "2 h"),
    ],
)
def test_a_duration_is_in_units_that_fit(seconds: float, text: str):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7300, "2 hours ago"),
        (200_000, "2 days ago"),
    ],
)
def test_an_age_is_about_right(seconds: float, text: str):
    assert age(seconds) == text


def test_code_is_marked_and_all_else_is_escaped():
    assert code("<b> run `mlxq <up>` & wait") == "&lt;b&gt; run <code>mlxq &lt;up&gt;</code> &amp; wait"
