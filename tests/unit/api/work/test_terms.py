import pytest
from starlette.requests import Request

from api.work.terms import Prefer, parse_prefer, terms_of
from jobs.errors import InvalidInput
from jobs.settings import Settings


def asking(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw})


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], Prefer(False, None)),
        (["respond-async"], Prefer(True, None)),
        (["respond-async, wait=10"], Prefer(True, 10)),
        (["wait=10"], Prefer(False, 10)),
        (["wait=0"], Prefer(False, 0)),
        (["respond-async", "wait=7"], Prefer(True, 7)),
        (["RESPOND-Async ,  WAIT = 5"], Prefer(True, 5)),
        (['wait="12"'], Prefer(False, 12)),
        (["respond-async; priority=5, wait=3; foo"], Prefer(True, 3)),
        (['foo="a, respond-async", wait=2'], Prefer(False, 2)),
        (["return=minimal, handling=lenient"], Prefer(False, None)),
    ],
)
def test_preferences_are_read_as_rfc_7240_writes_them(headers: list[str], expected: Prefer):
    assert parse_prefer(headers) == expected


@pytest.mark.parametrize("wait", ["-1", "1.5", "", "soon", "²"])
def test_a_malformed_wait_is_ignored(wait: str):
    assert parse_prefer([f"respond-async, wait={wait}"]) == Prefer(True, None)


@pytest.mark.parametrize(("wait", "seconds"), [("9" * 5000, 10**9), ("0" * 5000 + "7", 7), ("000", 0)])
def test_a_wait_of_any_length_is_a_number(wait: str, seconds: int):
    assert parse_prefer([f"wait={wait}"]) == Prefer(False, seconds)


def test_the_first_of_two_equal_preferences_counts():
    assert parse_prefer(["wait=1, wait=2", "wait=3"]).wait_s == 1


@pytest.mark.parametrize(
    ("headers", "ttl_s"),
    [
        ({}, 60),
        ({"result_ttl": "7"}, 7),
        ({"idempotency_key": "k"}, 86_400),
        ({"idempotency_key": "k", "result_ttl": " 7 "}, 7),
        ({"prefer": "respond-async"}, 86_400),
        ({"prefer": "respond-async", "result_ttl": "2678400"}, 2_678_400),
    ],
)
def test_a_result_is_kept_as_long_as_the_request_or_else_the_settings_say(
    headers: dict[str, str], ttl_s: int
):
    assert terms_of(asking(**headers), Settings()).options.result_ttl_s == ttl_s


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "soon", "2678401", "9" * 5000, "²"])
def test_a_time_that_no_result_is_kept_for_is_refused(text: str):
    with pytest.raises(InvalidInput, match="from 1 to 2,678,400") as raised:
        terms_of(asking(result_ttl=text), Settings())
    assert raised.value.param == "Result-TTL"
