"""Numbers and white space of JSON come to an end, whatever the model would like."""

import json
import re
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from jobs.answer_format import JsonFormat, RegexFormat
from jobs.generate import Tool
from tests.support.constrained import (
    END,
    PROMPT,
    TOKENIZER,
    TURN,
    VOCAB_SIZE,
    after,
    ids,
    json_form,
    most_probable,
    text_of,
)
from workers.runners.generate.structured_output.constraint import GrammarConstraint
from workers.runners.generate.structured_output.grammar import Grammars
from workers.runners.generate.structured_output.lark import JSON_TOOLS


@pytest.fixture(scope="module")
def grammars() -> Grammars:
    return Grammars(TOKENIZER, [END, TURN])


def loving(constraint: GrammarConstraint, loved: str, limit: int = 400) -> str:
    """What a model writes that wants a character of `loved` at each step, and otherwise to come to an end."""
    logits = np.zeros((1, VOCAB_SIZE), np.float32)
    for rank, character in enumerate(('"', "]", "}")):
        logits[0, ids(character)] = 1 + rank
    logits[0, [END, TURN]] = 5
    for rank, character in enumerate(reversed(loved)):
        logits[0, ids(character)] = 10 + rank
    tokens = list(PROMPT)
    for _ in range(limit):
        token = most_probable(constraint(mx.array(tokens), mx.array(logits)))
        if token in (END, TURN):
            assert constraint.failure is None
            return text_of(tokens[len(PROMPT) :])
        tokens.append(token)
    raise AssertionError(f"no end: {text_of(tokens)}")


@pytest.mark.parametrize("loved", ["5", ".5", "e5", "-5", "1.e+", "0123456789.eE+-"])
@pytest.mark.parametrize(
    "schema", [{"type": "integer"}, {"type": "number"}, {"minimum": 0, "type": "number"}]
)
def test_number_without_bounds_ends(grammars: Grammars, schema: dict[str, Any], loved: str):
    text = loving(grammars.answer(json_form(schema)), loved)
    assert isinstance(json.loads(text), int | float)
    assert len(text) <= 27, text


def test_number_of_an_open_object_ends(grammars: Grammars):
    constraint = after(grammars.answer(JsonFormat()), '{"a": ')
    assert len(loving(constraint, "5")) <= 27


def test_tool_calls_numbers_end(grammars: Grammars):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    constraint = grammars.tool_calls([Tool("clock", "", json.dumps(schema))], JSON_TOOLS, parallel=False)
    assert loving(constraint, "5").count("5") <= 25


def test_numbers_that_fit_64_bits_are_written_whole(grammars: Grammars):
    for value in (2**63 - 1, -(2**63), 2**64 - 1, -2.2250738585072014e-308, 6.02214076e23):
        constraint = after(grammars.answer(json_form({"type": "number"})), json.dumps(value))
        assert constraint.complete


def test_digits_of_texts_and_of_what_the_caller_has_bounded_go_on(grammars: Grammars):
    digits = "5" * 60
    in_text = after(grammars.answer(json_form({"type": "string"})), f'"{digits}')
    assert ids("5")[0] in _allowed(in_text)
    escaped = after(grammars.answer(json_form({"type": "string"})), '"a\\"' + digits)
    assert ids("5")[0] in _allowed(escaped)
    constant = grammars.answer(
        json_form({"type": "array", "items": {"type": "string", "pattern": "^5{60}$"}})
    )
    assert ids("5")[0] in _allowed(after(constant, '["' + digits[:40]))
    regex = after(grammars.answer(RegexFormat("[0-9]+")), digits)
    assert ids("5")[0] in _allowed(regex)


@pytest.mark.parametrize("loved", [" ", "\n ", "\n\t", "\n", "\r\n "])
def test_white_space_is_that_of_indented_json(grammars: Grammars, loved: str):
    schema = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "null"}, "minItems": 1}},
        "required": ["a"],
    }
    text = loving(grammars.answer(json_form(schema)), loved)
    assert set(json.loads(text)) == {"a"}
    assert len(text) < 60, text
    runs = re.findall(r"\s+", text)
    assert runs and max(map(len, runs)) <= 2 + 2 * 4


@pytest.mark.parametrize("indent", [None, 0, 1, 2, 4, "\t"])
def test_indented_json_may_come_token_by_token(grammars: Grammars, indent: int | str | None):
    value = {"a": [1, {"b": [{"c": None}, [[]]]}], "d": {}}
    constraint = grammars.answer(JsonFormat())
    for token in ids(json.dumps(value, indent=indent)):
        assert token in _allowed(constraint)
        constraint.advance(token)
    assert constraint.complete


def test_resumed_number_ends_where_it_would_have(grammars: Grammars):
    whole = loving(grammars.answer(json_form({"type": "integer"})), "5")
    constraint = grammars.answer(json_form({"type": "integer"}))
    for kept in (1, 10, len(whole) - 1):
        resumed = constraint.restarted(ids(whole[:kept]))
        assert whole[:kept] + loving(resumed, "5") == whole


def _allowed(constraint: GrammarConstraint) -> set[int]:
    words = constraint.mask(VOCAB_SIZE)
    return set(np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")).tolist())
