"""Schemas without the patterns that no grammar can follow."""

from typing import Any

import pytest

from tests.support.constrained import END, TOKENIZER, TURN, after, json_form
from workers.runners.generate.structured_output.grammar import Grammars
from workers.runners.generate.structured_output.look_around import without_look_around

AROUND = "^(?!x).*$"
TEXT, NUMBER = {"type": "string"}, {"type": "integer"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, TEXT),
        ({"additionalProperties": False}, TEXT),
        ({"additionalProperties": True}, True),
        ({"additionalProperties": NUMBER}, {"anyOf": [TEXT, NUMBER]}),
    ],
)
def test_properties_whose_names_cannot_be_checked_may_have_any_name(given: dict[str, Any], expected: Any):
    found = without_look_around({"patternProperties": {AROUND: TEXT, "^y": NUMBER}, **given})
    assert found == {"patternProperties": {"^y": NUMBER}, "additionalProperties": expected}


def test_an_object_whose_names_cannot_be_checked_need_not_be_empty():
    form = json_form({"type": "object", "patternProperties": {AROUND: NUMBER}})
    grammars = Grammars(TOKENIZER, [END, TURN])
    assert after(grammars.answer(form), '{"y": 1}').complete
    assert after(grammars.answer(form), '{"y": "1"}').failure is not None


@pytest.mark.parametrize("name", ["default", "enum", "pattern", "patternProperties"])
def test_properties_may_be_called_as_keywords_are(name: str):
    schema = {"properties": {name: {**TEXT, "pattern": AROUND}}}
    assert without_look_around(schema) == {"properties": {name: TEXT}}


def test_values_are_no_schemas():
    schema = {"default": {"pattern": AROUND}, "enum": [{"pattern": AROUND}]}
    assert without_look_around(schema) == schema


@pytest.mark.parametrize("pattern", [AROUND, r"(a)\1", r"(a)\\\1", r"(?<n>a)\k<n>", "(?<!a)b", r"\\(?=a)"])
def test_patterns_that_look_around_or_refer_back_are_left_out(pattern: str):
    assert without_look_around({**TEXT, "pattern": pattern}) == TEXT


@pytest.mark.parametrize("pattern", [r"^\\1$", r"\(?=a", "(?:a)", r"\d"])
def test_patterns_that_only_look_like_these_are_kept(pattern: str):
    assert without_look_around({**TEXT, "pattern": pattern}) == {**TEXT, "pattern": pattern}
