"""Constrained answers: whatever the model's logits are, the answer is JSON of its schema."""

import json
import re
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from llguidance import LLMatcher

from jobs.answer_format import JsonFormat
from jobs.errors import InternalError, InvalidInput
from tests.support.constrained import (
    END,
    PADDING,
    PROMPT,
    TOKENIZER,
    TURN,
    VOCAB_SIZE,
    Rambler,
    after,
    allowed,
    answer,
    ids,
    json_form,
    most_probable,
    text_of,
)
from workers.runners.generate.structured_output import grammar
from workers.runners.generate.structured_output.constraint import GrammarConstraint, apply_mask
from workers.runners.generate.structured_output.grammar import USES, Grammars

SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False},
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 12},
            "tags": {"type": "array", "items": {"enum": ["red", "green"]}, "maxItems": 3},
            "inner": {
                "type": "object",
                "properties": {"b": {"anyOf": [{"type": "boolean"}, {"type": "null"}]}},
                "required": ["b"],
                "additionalProperties": False,
            },
        },
        "required": ["name", "tags", "inner"],
        "additionalProperties": False,
    },
    {"type": "array", "items": {"type": "integer", "minimum": 3, "maximum": 11}, "minItems": 2, "maxItems": 4},
    {"type": "string", "pattern": "^[a-c]{2,5}-[0-9]+$", "maxLength": 9},
    {"enum": ["red fox", 7, None, {"deep": [1, "ä"]}]},
    {"const": 'quote " and \\ and ü and 漢'},
    {"type": "number"},
    {"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "null"}, "maxItems": 2}]},
]  # fmt: skip


@pytest.fixture(scope="module")
def grammars() -> Grammars:
    return Grammars(TOKENIZER, [END, TURN])


def fulfils(value: Any, schema: dict[str, Any]) -> bool:
    """The keywords that SCHEMAS use."""
    if "anyOf" in schema:
        return any(fulfils(value, option) for option in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    match schema["type"]:
        case "object":
            properties = schema.get("properties", {})
            known = all(fulfils(value[key], properties[key]) for key in value if key in properties)
            closed = schema.get("additionalProperties", True) or set(value) <= set(properties)
            return (
                isinstance(value, dict) and set(schema.get("required", ())) <= set(value) and known and closed
            )
        case "array":
            within = schema.get("minItems", 0) <= len(value) <= schema["maxItems"]
            return (
                isinstance(value, list) and within and all(fulfils(item, schema["items"]) for item in value)
            )
        case "string":
            fits = len(value) <= schema.get("maxLength", len(value))
            return isinstance(value, str) and fits and re.search(schema.get("pattern", ""), value) is not None
        case "integer":
            low, high = schema.get("minimum", value), schema.get("maximum", value)
            return type(value) is int and low <= value <= high
        case "number":
            return type(value) in (int, float)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case _:
            raise AssertionError(schema)


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:40])
def test_random_logits_make_json_of_the_schema(grammars: Grammars, schema: dict[str, Any]):
    for seed in range(6):
        text = text_of(answer(grammars.answer(json_form(schema)), seed))
        assert fulfils(json.loads(text), schema), text


def wanders(constraint: GrammarConstraint, seed: int, limit: int = 120) -> str | None:
    """What a model of random logits writes that does not press for an end; None where there is none in `limit`."""
    random, tokens = np.random.default_rng(seed), list(PROMPT)
    for _ in range(limit):
        logits = mx.array(random.normal(0, 3, (1, VOCAB_SIZE)).astype(np.float32))
        token = most_probable(constraint(mx.array(tokens), logits))
        if token in (END, TURN):
            return text_of(tokens[len(PROMPT) :])
        tokens.append(token)
    return None


OPEN: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


@pytest.mark.parametrize(
    ("schema", "keys"),
    [
        (OPEN, {"name", "age"}),
        ({"$defs": {"p": OPEN}, "$ref": "#/$defs/p"}, {"name", "age"}),
        ({"allOf": [OPEN, {"properties": {"b": {"type": "boolean"}}, "required": ["b"]}]}, {"name", "age", "b"}),
        ({"anyOf": [OPEN, {"properties": {"b": {"type": "boolean"}}, "type": "object"}]}, {"name", "age", "b"}),
    ],
)  # fmt: skip
def test_open_schema_ends_with_the_keys_that_it_lists(
    grammars: Grammars, schema: dict[str, Any], keys: set[str]
):
    texts = [wanders(grammars.answer(json_form(schema)), seed) for seed in range(12)]
    assert all(text is not None and set(json.loads(text)) <= keys for text in texts), texts


def test_additional_properties_that_are_asked_for_may_come(grammars: Grammars):
    for more in (True, {"type": "integer"}):
        constraint = grammars.answer(json_form({**OPEN, "additionalProperties": more}))
        assert after(constraint, '{"name": "a", "age": 5, "other": 7}').complete
    other = after(grammars.answer(json_form(OPEN)), '{"name": "a", "age": 5')
    assert not allowed(other) & set(ids(","))


def test_any_object_may_end_at_each_place(grammars: Grammars):
    for begun in ("{", '{"a": 5', '{"a": [1, {"b": "c"}]', '{"a": {}'):
        assert allowed(after(grammars.answer(JsonFormat()), begun)) & set(ids("}")), begun


def test_schema_may_refer_to_itself(grammars: Grammars):
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "additionalProperties": False}
    for seed in range(6):
        value = json.loads(
            text_of(answer(grammars.answer(json_form({"$defs": {"node": node}, **node})), seed))
        )
        while value:
            assert list(value) == ["next"]
            value = value["next"]
        assert value == {}


def test_without_a_schema_the_answer_is_any_json_object(grammars: Grammars):
    answers = [text_of(answer(grammars.answer(JsonFormat()), seed)) for seed in range(8)]
    assert all(isinstance(json.loads(text), dict) for text in answers)
    assert len(set(answers)) > 4


def test_unconstrained_the_same_model_makes_no_json():
    model = Rambler(0)
    text = text_of([most_probable(model.logits(step)) for step in range(20)])
    with pytest.raises(ValueError, match=r".+"):
        json.loads(text)


def test_rows_of_one_batch_keep_their_own_state(grammars: Grammars):
    alone = [answer(grammars.answer(json_form(schema)), seed) for seed, schema in enumerate(SCHEMAS)]
    constraints = [grammars.answer(json_form(schema)) for schema in SCHEMAS]
    models = [Rambler(seed) for seed in range(len(SCHEMAS))]
    rows: list[list[int]] = [[] for _ in SCHEMAS]
    open_rows = set(range(len(SCHEMAS)))
    step = 0
    while open_rows:
        for row in sorted(open_rows, reverse=step % 2 == 0):
            logits = constraints[row](mx.array(PROMPT + rows[row]), models[row].logits(step))
            token = most_probable(logits)
            open_rows -= {row} if token in (END, TURN) else set()
            rows[row] += [token] * (row in open_rows)
        step += 1
    assert rows == alone


def test_end_tokens_are_allowed_exactly_where_the_json_may_end(grammars: Grammars):
    constraint = grammars.answer(json_form({"type": "integer"}))
    assert not allowed(constraint) & {END, TURN}
    after(constraint, "1")
    assert allowed(constraint) > {END, TURN}  # or further digits
    assert constraint.complete
    constraint = after(grammars.answer(json_form({"type": "object"})), '{"a": 1')
    assert not allowed(constraint) & {END, TURN}
    assert not constraint.complete
    assert allowed(after(constraint, "}")) == {END, TURN}


def test_padding_of_the_vocabulary_is_never_allowed(grammars: Grammars):
    constraint = grammars.answer(json_form({"type": "string"}))
    after(constraint, '"')
    assert len(allowed(constraint)) > 500
    assert max(allowed(constraint)) < VOCAB_SIZE - PADDING
    logits = constraint(mx.array(PROMPT), mx.full((1, VOCAB_SIZE), 2.0))
    assert logits.shape == (1, VOCAB_SIZE)
    assert np.isneginf(np.array(logits)[0, -PADDING:]).all()


def test_logits_of_fewer_tokens_than_the_tokenizer_has_are_masked_too(grammars: Grammars):
    logits = grammars.answer(JsonFormat())(mx.array(PROMPT), mx.zeros((1, 300), mx.bfloat16))
    assert logits.shape == (1, 300)
    assert logits.dtype == mx.bfloat16
    assert np.flatnonzero(np.array(logits.astype(mx.float32))[0] == 0).tolist() == ids("{")


def test_every_bit_of_the_mask_reaches_its_own_token():
    words = np.random.default_rng(1).integers(0, 2**32, (3, 4), dtype=np.uint32)
    masked = np.array(apply_mask(mx.ones((3, 111)), mx.array(words)))
    bits = [[words[row, token // 32] >> (token % 32) & 1 for token in range(111)] for row in range(3)]
    assert (masked == np.where(bits, 1.0, -np.inf)).all()


def test_added_tokens_and_end_tokens_do_not_get_into_texts(grammars: Grammars):
    constraint = after(grammars.answer(json_form({"type": "string"})), '"a')
    outside = {END, TURN, *(ids(name)[0] for name in ("<tool_call>", "</tool_call>", "</think>"))}
    assert not allowed(constraint) & outside


def test_indented_json_is_allowed_and_endless_whitespace_is_not(grammars: Grammars):
    constraint = grammars.answer(JsonFormat())
    after(constraint, json.dumps({"a": [1, {"b": None}]}, indent=4))
    assert constraint.complete
    constraint = after(grammars.answer(JsonFormat()), '{"a":\n' + " " * 4)
    assert constraint.failure is None
    assert not {ids(" ")[0], ids("\n")[0]} & allowed(constraint)


def test_nothing_is_held_to_the_schema_before_the_marker(grammars: Grammars):
    marker = ids("</think>")
    constraint = grammars.answer(json_form({"const": 5}), after=marker)
    after(constraint, "the red fox {")
    assert allowed(constraint) == set(range(VOCAB_SIZE)) - {END, TURN}
    assert not constraint.complete
    after(constraint, "</think>")
    assert allowed(constraint) == set(ids("5"))


def test_marker_of_several_tokens_counts_only_as_a_whole(grammars: Grammars):
    marker = [50, 51, 50, 52]
    constraint = grammars.answer(json_form({"const": 5}), after=marker)
    for token in (50, 51, 52, 50, 51, 50, 51, 50):
        constraint.advance(token)
        assert len(allowed(constraint)) == VOCAB_SIZE - 2
    constraint.advance(52)
    assert allowed(constraint) == set(ids("5"))


def test_resumed_answer_goes_on_where_it_was(grammars: Grammars):
    form, marker = json_form(SCHEMAS[1]), ids("</think>")
    thought = [*ids("the fox"), *marker]
    whole = [*thought, *answer(grammars.answer(form), 3)]
    for kept in range(0, len(whole), 5):
        first = grammars.answer(form, after=marker)
        for token in whole[:kept]:
            first.advance(token)
        resumed = grammars.answer(form, after=marker, generated=whole[:kept])
        tokens = mx.array(PROMPT + whole[:kept])
        masked = resumed(tokens, mx.zeros((1, VOCAB_SIZE)))  # its last token is one of those it was given
        assert set(np.flatnonzero(np.array(masked)[0] == 0).tolist()) == allowed(first)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^a{1000000}$"},
        {"type": "string", "pattern": "^((((a{100}){100}){100}){100})$"},
        {"type": "string", "pattern": "^((a|aa|aaa){1000}){1000}$"},
        {"anyOf": [{"properties": {f"p{i}": {} for i in range(40)}} for _ in range(60)]},
    ],
)  # fmt: skip
def test_schema_too_complex_inside_is_the_callers_fault(grammars: Grammars, schema: dict[str, Any]):
    inner = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    constraint = after(grammars.answer(json_form(inner)), '{"a": ')
    for opening in ('"', "{"):
        tried = constraint.restarted(ids('{"a": ' + opening))
        tried.mask(VOCAB_SIZE)
        if tried.failure and "left its grammar" not in tried.failure.message:
            break
    assert isinstance(tried.failure, InvalidInput)
    assert "too complex" in tried.failure.message
    assert tried.failure.param == "response_format"
    assert allowed(tried) == {END, TURN}


def test_answers_of_one_grammar_do_not_fill_each_others_memory(grammars: Grammars):
    form = json_form({"type": "string", "pattern": "^.*a.{60}$"})
    for seed in range(2 * USES):
        constraint = grammars.answer(form)
        wanders(constraint, seed, limit=20)
        assert constraint.failure is None


@pytest.mark.parametrize(
    ("answers", "compilations"),
    [([1] * USES, 1), ([1] * (USES + 1), 2), ([USES, 1], 2), ([USES - 2, 1, 1, 1], 2), ([USES - 2, 3], 2)],
)
def test_a_memory_is_that_of_so_many_answers(
    grammars: Grammars, monkeypatch: pytest.MonkeyPatch, answers: list[int], compilations: int
):
    compiled: list[str] = []

    class Counted:
        grammar_from_json_schema = staticmethod(LLMatcher.grammar_from_json_schema)

        def __call__(self, tokenizer: Any, text: str, **more: Any) -> LLMatcher:
            compiled.append(text)
            return LLMatcher(tokenizer, text, **more)

    monkeypatch.setattr(grammar, "LLMatcher", Counted())
    form = json_form({"const": str(answers)})
    for each in answers:
        assert after(grammars.answer(form, answers=each), json.dumps(str(answers))).complete
    assert len(compiled) == compilations


def test_answer_that_leaves_the_grammar_ends_and_says_why(grammars: Grammars):
    constraint = after(grammars.answer(json_form({"type": "integer"})), "fox")
    assert isinstance(constraint.failure, InternalError)
    assert "fox" not in constraint.failure.message
    assert allowed(constraint) == {END, TURN}
    assert not constraint.complete
    constraint.advance(VOCAB_SIZE - 1)
    assert allowed(constraint) == {END, TURN}
