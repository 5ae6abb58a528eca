"""Fields that are not built are refused by name where they ask for something, wherever a body is read."""

from typing import Annotated, Any

import msgspec
import pytest
from starlette.requests import Request

from api.requests.body import decode_body, decode_query
from api.requests.parameters import NOTHING, NoEffect, Parameter, Refused, parameters_of
from jobs.errors import InvalidInput

_UNSEEN = Refused("nothing is seen.")
_SLOW = Refused("there is one speed.", unless=(None, "slow", 1))
_EVEN = Refused("numbers are even.", or_if=lambda value: value == [2])
_NOTED = NoEffect("nobody reads it")


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    depth: Annotated[Any, _UNSEEN] = None
    width: int = 1


class Body(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    sight: Annotated[Any, _UNSEEN] = None
    speed: Annotated[Any, _SLOW] = None
    numbers: Annotated[Any, _EVEN] = msgspec.field(default=None, name="nums")
    note: Annotated[Any, _NOTED] = None
    inner: Inner | None = None


def read(**fields: Any) -> Body:
    return decode_body(msgspec.json.Decoder(Body), msgspec.json.encode({"text": "a", **fields}))


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"sight": "x"}, "sight", "sight: nothing is seen."),
        ({"sight": 0}, "sight", "sight: nothing is seen."),
        ({"speed": "fast"}, "speed", "speed: there is one speed."),
        ({"speed": False}, "speed", "speed: there is one speed."),
        ({"speed": True}, "speed", "speed: there is one speed."),
        ({"nums": [3]}, "nums", "nums: numbers are even."),
        ({"inner": {"depth": 3}}, "inner", "inner.depth: nothing is seen."),
    ],
)
def test_what_asks_for_something_is_refused_by_name(fields: dict[str, Any], param: str, message: str):
    with pytest.raises(InvalidInput) as caught:
        read(**fields)
    assert (caught.value.param, caught.value.message) == (param, message)


@pytest.mark.parametrize(
    "fields",
    [
        *({"sight": value} for value in NOTHING),
        {"speed": "slow"},
        {"speed": 1.0},
        {"nums": [2]},
        {"nums": {}},
        {"note": {"a": [1]}},
        {"inner": {"width": 2, "depth": False}},
        {"inner": None},
    ],
)
def test_what_asks_for_nothing_is_taken(fields: dict[str, Any]):
    assert read(**fields).text == "a"


def test_a_query_is_held_to_the_same():
    class Query(msgspec.Struct, frozen=True, kw_only=True):
        order: Annotated[str | None, Refused("there is one order.", unless=(None, "asc"))] = None

    request = Request({"type": "http", "query_string": b"order=asc"})
    assert decode_query(request, Query).order == "asc"
    with pytest.raises(InvalidInput, match=r"order: there is one order\."):
        decode_query(Request({"type": "http", "query_string": b"order=desc"}), Query)


def test_parameters_are_listed_with_those_of_an_object_in_which_some_do_not_work():
    assert parameters_of(Body) == [
        Parameter("text", None),
        Parameter("sight", _UNSEEN),
        Parameter("speed", _SLOW),
        Parameter("nums", _EVEN),
        Parameter("note", _NOTED),
        Parameter("inner", None),
        Parameter("inner.depth", _UNSEEN),
        Parameter("inner.width", None),
    ]
