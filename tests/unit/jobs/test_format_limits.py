"""What is too large to hold an answer to is refused before anybody compiles it."""

import json
from typing import Any

import pytest

from jobs.answer_format import ChoiceFormat, GrammarFormat, JsonFormat, RegexFormat
from jobs.errors import InvalidInput
from jobs.format_limits import check_format, check_tools, read_schema
from jobs.generate import Tool


def properties(count: int) -> dict[str, Any]:
    return {f"p{i}": {"type": "integer"} for i in range(count)}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (
            {"type": "object", "properties": properties(800)},
            "800 properties that may be left out; at most 400",
        ),
        ({"$defs": {"deep": {"properties": properties(401)}}}, "401 properties"),
        (nested(150), "nested more than 100 deep"),
        ({"enum": [[i] for i in range(5000)]}, "enum has 5000 alternatives"),
        ({"anyOf": [{} for _ in range(1001)]}, "anyOf has 1001 alternatives"),
        ({"type": "array", "prefixItems": [{}] * 20_000}, "more than 10000 values"),
        ({"const": "x" * 300_000}, "at most 262144 are allowed"),
        ({"pattern": "a" * 5000}, "a pattern has more than 4096 characters"),
        ({"patternProperties": {"a" * 5000: {}}}, "a pattern has more than 4096 characters"),
        ({"multipleOf": 999_983}, "more than 10000 remainders"),
        ({"multipleOf": 0.123457}, "more than 10000 remainders"),
        ({"allOf": [{"multipleOf": 997}, {"multipleOf": 991}]}, "more than 10000 remainders"),
        *(
            ({"multipleOf": sign * 10**zeros}, "a multipleOf has more than 20 digits")
            for zeros in (20, 308, 309, 400, 4000)
            for sign in (1, -1)
        ),
        ({"properties": {"a": {"multipleOf": 10**309 + 1}}}, "a multipleOf has more than 20 digits"),
        ([{}], "must be a JSON object"),
        ("{}", "must be a JSON object"),
    ],
)
def test_schema_too_complex_is_refused_with_its_field(schema: Any, message: str):
    with pytest.raises(InvalidInput) as caught:
        read_schema(json.dumps(schema), "guided_json")
    assert message in caught.value.message
    assert caught.value.param == "guided_json"


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": properties(400)},
        {"properties": properties(800), "required": list(properties(800))},
        {"enum": [f"value {i}" for i in range(5000)]},
        {"properties": {"a": {"multipleOf": 0.01}, "b": {"multipleOf": 250}, "c": {"multipleOf": 60}}},
        {"multipleOf": 0, "properties": {"multipleOf": {"multipleOf": "x"}}, "required": 5, "anyOf": {}, "enum": 1},
        {"multipleOf": 1e300, "minimum": 10**400, "const": 10**400},
        nested(90),
    ],
)  # fmt: skip
def test_schema_that_people_write_is_read(schema: dict[str, Any]):
    assert read_schema(json.dumps(schema), "format") == schema


@pytest.mark.parametrize("text", ["{", "", '{"a":' * 100_000, '{"const": NaN}', '{"a": "\\ud800"}'])
def test_text_that_is_no_json_is_refused(text: str):
    with pytest.raises(InvalidInput):
        read_schema(text, "format")


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (JsonFormat("[]", "x"), "must be a JSON object"),
        (RegexFormat("a" * 5000, "x"), "at most 4096"),
        (ChoiceFormat((), "x"), "one text or more"),
        (ChoiceFormat(("a", ""), "x"), "none of them empty"),
        (ChoiceFormat(tuple(map(str, range(10_001))), "x"), "10001 texts"),
        (ChoiceFormat(("a" * 300_000,), "x"), "too complex"),
        (GrammarFormat("a" * 40_000, "x"), "too complex"),
        (GrammarFormat("root ::= a\n" * 600, "x"), "more than 500 rules"),
        (GrammarFormat('start: %json {"multipleOf": 999983}', "x"), "%json"),
    ],
)
def test_format_too_large_is_refused(form: Any, message: str):
    with pytest.raises(InvalidInput) as caught:
        check_format(form)
    assert message in caught.value.message
    assert caught.value.param == "x"


def strict(parameters: str) -> Tool:
    return Tool("t0", "", parameters, strict=True)


def test_tools_schemas_count_as_one():
    tools = [strict(json.dumps({"properties": properties(300)})) for _ in range(20)]
    check_tools(tools[:5], must_call=False)
    with pytest.raises(InvalidInput, match="all tools together is too complex") as caught:
        check_tools(tools, must_call=False)
    assert caught.value.param == "tools"
    with pytest.raises(InvalidInput, match="the schema of t0 is too complex"):
        check_tools([strict(json.dumps({"properties": properties(800)}))], must_call=False)


@pytest.mark.parametrize(
    ("count", "length", "message"), [(1001, 1, "1001 tools; at most 1000"), (3, 100_000, "300000 characters")]
)
def test_tools_are_counted_and_measured_before_any_schema_is_parsed(count: int, length: int, message: str):
    unreadable = [strict("{" * length)] * count
    with pytest.raises(InvalidInput, match=message) as caught:
        check_tools(unreadable, must_call=False)
    assert caught.value.param == "tools"


def test_tools_are_measured_only_where_a_schema_is_kept_to():
    free = [Tool("free", "", "{" * 300_000)] * 2000
    check_tools(free, must_call=False)
    check_tools([*free[:10], strict("{}")], must_call=False)
    with pytest.raises(InvalidInput, match="2001 tools"):
        check_tools([*free, strict("{}")], must_call=False)
    with pytest.raises(InvalidInput, match="3000000 characters"):
        check_tools(free[:10], must_call=True)
