"""Schemas whose objects have the properties they list."""

from typing import Any

import pytest

from workers.runners.generate.structured_output.closed_schema import closed

A, B = {"a": {"type": "integer"}}, {"b": {"type": "string"}}
SHUT: dict[str, Any] = {"additionalProperties": False}


def test_listed_properties_are_the_only_ones():
    assert closed({"type": "object", "properties": A}) == {"type": "object", "properties": A, **SHUT}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "required": ["a"]},
        {"properties": A, "additionalProperties": True},
        {"properties": A, "additionalProperties": {"type": "integer"}},
        {"properties": A, "unevaluatedProperties": True},
        {"properties": A, "minProperties": 2},
        {"enum": [{"properties": A}], "default": {"properties": A}, "examples": [{"properties": A}]},
        {"properties": A, "additionalProperties": True, "allOf": [{"properties": B}]},
        {"properties": A, "allOf": [{"properties": B, "additionalProperties": True}]},
        {"properties": A, "$ref": "https://example.org/b"},
        {"type": "array", "prefixItems": [{}], "items": {"type": "integer"}},
        {"type": "array", "prefixItems": [{}], "minItems": 2},
        {"properties": 5, "allOf": 5, "anyOf": 5, "$ref": 5, "required": 5, "items": 5, "prefixItems": {}},
    ],
)
def test_what_says_that_it_is_open_or_lists_nothing_stays_as_it_is(schema: dict[str, Any]):
    assert closed(schema) == schema


def test_schemas_within_schemas_are_closed():
    inner = {"properties": A}
    shut = {**inner, **SHUT}
    given = {
        "properties": {"x": inner, "properties": inner},
        "$defs": {"d": inner},
        "patternProperties": {"^p": inner},
        "items": inner,
    }
    found = closed({**given, "type": ["object", "array"]})
    assert found["properties"] == {"x": shut, "properties": shut}
    assert found["$defs"] == {"d": shut}
    assert found["patternProperties"] == {"^p": shut}
    assert found["items"] == shut
    assert found["additionalProperties"] is False
    assert closed({"additionalProperties": inner}) == {"additionalProperties": shut}
    assert closed({"prefixItems": [inner]}) == {"prefixItems": [shut], "items": False}


def test_required_property_counts_as_listed():
    found = closed({"properties": A, "required": ["a", "z"]})
    assert found["properties"] == {**A, "z": True}
    assert found["additionalProperties"] is False


def test_each_alternative_has_its_own_properties():
    assert closed({"anyOf": [{"properties": A}, {"properties": B}]}) == {
        "anyOf": [{"properties": A, **SHUT}, {"properties": B, **SHUT}]
    }


def test_schemas_that_hold_together_allow_what_the_others_list():
    found = closed({"properties": {"c": {}}, "allOf": [{"properties": A}, {"properties": B}]})
    assert found["properties"] == {"c": {}, "a": True, "b": True}
    assert found["allOf"] == [
        {"properties": {**A, "c": True, "b": True}, **SHUT},
        {"properties": {**B, "c": True, "a": True}, **SHUT},
    ]
    assert found["additionalProperties"] is False


def test_alternatives_beside_properties_do_not_get_each_others():
    found = closed({"properties": {"c": {}}, "anyOf": [{"properties": A}, {"properties": B}]})
    assert found["properties"] == {"c": {}, "a": True, "b": True}
    assert found["anyOf"] == [
        {"properties": {**A, "c": True}, **SHUT},
        {"properties": {**B, "c": True}, **SHUT},
    ]


def test_open_alternative_leaves_the_others_closed():
    found = closed({"anyOf": [{"properties": A, "additionalProperties": True}, {"properties": B}]})
    assert found["anyOf"] == [{"properties": A, "additionalProperties": True}, {"properties": B, **SHUT}]


def test_reference_alone_stays_one():
    found = closed({"$ref": "#/$defs/n", "$defs": {"n": {"properties": {"next": {"$ref": "#/$defs/n"}}}}})
    assert found == {
        "$ref": "#/$defs/n",
        "$defs": {"n": {"properties": {"next": {"$ref": "#/$defs/n"}}, **SHUT}},
    }


def test_reference_beside_properties_is_copied_and_allows_them():
    base = {"properties": A, "required": ["a"]}
    found = closed({"$defs": {"base": base}, "allOf": [{"$ref": "#/$defs/base"}, {"properties": B}]})
    assert found["$defs"]["base"] == {**base, **SHUT}
    (first,) = found["allOf"][0]["allOf"]
    assert first == {"properties": {**A, "b": True}, "required": ["a"], **SHUT}
    assert found["allOf"][1] == {"properties": {**B, "a": True}, **SHUT}


def test_references_that_lead_back_to_themselves_end():
    schema = {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}], "properties": A}}, "$ref": "#/$defs/a"}
    assert closed(schema)["$ref"] == "#/$defs/a"
    assert closed({"$ref": "#", "properties": A})["additionalProperties"] is False


def test_pattern_properties_are_listed_ones():
    assert closed({"patternProperties": {"^x": {}}, "properties": A})["additionalProperties"] is False


def test_schema_is_left_as_it_was():
    given: dict[str, Any] = {"properties": {"a": {"properties": A}}, "allOf": [{"properties": B}]}
    before = repr(given)
    closed(given)
    assert repr(given) == before


def test_references_that_double_and_double_are_too_many():
    doubling = {
        f"a{i}": {"properties": {f"p{i}": {}}, "allOf": [{"$ref": f"#/$defs/a{i + 1}"}, {"$ref": f"#/$defs/a{i + 1}"}]}
        for i in range(40)
    }  # fmt: skip
    with pytest.raises(ValueError, match="too often"):
        closed({"$defs": {**doubling, "a40": {"properties": A}}, "$ref": "#/$defs/a0"})
