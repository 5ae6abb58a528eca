"""Grammars from a request: schemas, calls of tools, tokenizers."""

import json
import re
import threading
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import mlx.core as mx
import msgspec
import pydantic
import pytest
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from jobs.answer_format import AnswerFormat, ChoiceFormat, GrammarFormat, JsonFormat, RegexFormat
from jobs.errors import InvalidInput
from jobs.generate import Tool
from tests.checkpoints import vocabularies
from tests.support.constrained import (
    END,
    TOKENIZER,
    TURN,
    VOCAB_SIZE,
    after,
    allowed,
    answer,
    ids,
    json_form,
    most_probable,
    text_of,
)
from workers.runners.generate.structured_output.constraint import GrammarConstraint
from workers.runners.generate.structured_output.grammar import Grammars
from workers.runners.generate.structured_output.lark import JSON_TOOLS, CallText

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def grammars() -> Grammars:
    return Grammars(TOKENIZER, [END, TURN])


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("{", "not a JSON schema"),
        ("true", "must be a JSON object"),
        ('{"type": "foo"}', "Invalid type: foo"),
        ('{"not": {}}', "not"),
        ('{"not": {}, "x-guidance": {"lenient": true}}', "not"),
        ('{"enum": []}', "Unsatisfiable"),
        ('{"const": NaN}', "not a JSON schema"),
        ('{"$ref": "https://example.org/schema"}', "does not fetch"),
        ('{"type": "string", "pattern": "(?=a)b"}', "look-around"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "600001 characters"),
        ('{"a":' * 500 + "1" + "}" * 500, "nested more than 100 deep"),
        ('{"$ref": "#"}', "nothing can fulfil it"),
    ],
)
def test_schema_that_cannot_be_enforced_names_its_field(grammars: Grammars, schema: str, message: str):
    with pytest.raises(InvalidInput, match=re.escape(message)) as caught:
        grammars.answer(JsonFormat(schema, strict=True))
    assert caught.value.param == "response_format"


NOTES: list[dict[str, Any]] = [
    {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    {"type": "string", "format": "no-format"},
    {"type": "object", "not": {"required": ["a"]}, "properties": {"b": {"type": "string"}}},
    {"type": "array", "contains": {"type": "string"}},
    {"type": "object", "dependentRequired": {"a": ["b"]}},
    {"type": "string", "pattern": "(?=a)b"},
    {"type": "string", "pattern": r"(a)\1"},
    {"type": "object", "patternProperties": {"^(?!x)": {"type": "string"}}},
    {"oneOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]},
]


@pytest.mark.parametrize("schema", NOTES, ids=json.dumps)
def test_what_cannot_be_enforced_is_a_note_unless_the_schema_is_strict(
    grammars: Grammars, schema: dict[str, Any]
):
    text = json.dumps(schema)
    with pytest.raises(InvalidInput):
        grammars.answer(JsonFormat(text, strict=True))
    assert not grammars.answer(JsonFormat(text)).failure

    tools = [Tool("ask", parameters=json.dumps({"type": "object", "properties": {"a": schema}}))]
    with pytest.raises(InvalidInput, match="the schema of ask"):
        grammars.tool_calls([msgspec.structs.replace(tools[0], strict=True)], JSON_TOOLS)
    assert not grammars.tool_calls(tools, JSON_TOOLS).failure


class Order(pydantic.BaseModel):
    tags: set[str]
    price: Decimal
    at: datetime
    host: pydantic.IPvAnyAddress
    size: Literal[1, 2]


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_what_beside_notes_is_said_is_kept_to(
    grammars: Grammars, mode: Literal["validation", "serialization"]
):
    form = json_form(Order.model_json_schema(mode=mode))

    found = json.loads(text_of(answer(grammars.answer(form), 1)))

    assert set(found) == {"tags", "price", "at", "host", "size"}
    assert isinstance(found["tags"], list) and all(isinstance(tag, str) for tag in found["tags"])
    assert datetime.fromisoformat(found["at"]) and found["size"] in (1, 2)


@pytest.mark.parametrize("schema", ['{"type": "foo"}', '{"enum": []}', '{"type": "string", "pattern": "("}'])
def test_what_is_no_schema_is_refused_in_any_case(grammars: Grammars, schema: str):
    with pytest.raises(InvalidInput):
        grammars.answer(JsonFormat(schema))


TOO_MUCH: list[dict[str, Any]] = [
    {"properties": {f"p{i}": {} for i in range(800)}},
    {"type": "array", "items": {}, "minItems": 10**30},
    {"type": "string", "maxLength": 10**12},
    {"type": "string", "pattern": "(" * 4000},
    {"type": "string", "pattern": "^((((a{100}){100}){100}){100})$"},
    {"type": "integer", "multipleOf": 2_000_003},
    {"allOf": [{"pattern": f"^.*{chr(97 + i % 26)}.{{{i}}}"} for i in range(30)]},
    {"allOf": [{"anyOf": [{"properties": {f"{k}{i}": {}}} for k in "ab"]} for i in range(30)]},
    {"anyOf": [{"properties": {f"p{i}": {} for i in range(40)}, "type": "object"} for _ in range(60)]},
    {"properties": {f"p{i}": {"properties": {f"q{j}": {} for j in range(300)}} for i in range(300)}},
    {"$defs": {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(30)}, "$ref": "#/$defs/a0"},
    {"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}, {"type": "integer"}]}}},
    {"properties": 5}, {"required": 5}, {"type": 5}, {"items": 5}, {"$ref": 5}, {"enum": 5}, {"minLength": -1},
    {"pattern": 5}, {"format": "zip-code"}, {"if": {}}, {"dependentRequired": {"a": ["b"]}}, {"$schema": "http://no"},
]  # fmt: skip


@pytest.mark.parametrize("schema", TOO_MUCH, ids=lambda schema: json.dumps(schema)[:40])
def test_schema_that_is_wrong_or_too_much_is_refused_at_once(grammars: Grammars, schema: dict[str, Any]):
    with pytest.raises(InvalidInput) as caught:
        grammars.answer(JsonFormat(json.dumps(schema), "format", strict=True))
    assert caught.value.param == "format"
    assert len(caught.value.message) < 500 and "\n" not in caught.value.message


@pytest.mark.parametrize(
    "schema", [TOO_MUCH[0], TOO_MUCH[8], {"properties": {"a": {"multipleOf": 2_000_003}}}, {"if": {}}]
)
def test_tool_whose_schema_is_wrong_or_too_much_is_named(grammars: Grammars, schema: dict[str, Any]):
    with pytest.raises(InvalidInput) as caught:
        grammars.tool_calls([CLOCK, Tool("big", "", json.dumps(schema), strict=True)], JSON_TOOLS)
    assert caught.value.param == "tools"
    assert len(caught.value.message) < 500 and "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("form", "right", "wrong"),
    [
        (RegexFormat("[a-c]+-\\d"), "abc-7", "abd"),
        (RegexFormat("^yes|no$"), "no", "on"),
        (ChoiceFormat(("red fox", 'a "b" \n\x7f')), 'a "b" \n\x7f', "red  "),
        (GrammarFormat('start: "a" B+\nB: /[0-9]/'), "a77", "a7b"),
        (GrammarFormat('root ::= "the " color ("," color)*\ncolor ::= "red" | "blue" [0-9]?'), "the red,blue7", "sky"),
    ],
)  # fmt: skip
def test_answer_has_the_format_that_is_asked_for(
    grammars: Grammars, form: AnswerFormat, right: str, wrong: str
):
    assert after(grammars.answer(form), right).complete
    assert after(grammars.answer(form), wrong).failure is not None
    seen = text_of(answer(grammars.answer(form), 1)) if not isinstance(form, RegexFormat) else right
    assert after(grammars.answer(form), seen).complete


@pytest.mark.parametrize(
    "form",
    [
        RegexFormat("(?=a)b", "guided_regex"),
        RegexFormat("[", "guided_regex"),
        RegexFormat("a{1000000}", "guided_regex"),
        RegexFormat("(((a{100}){100}){100}){100}", "guided_regex"),
        GrammarFormat("nonsense", "guided_regex"),
        GrammarFormat("start: other", "guided_regex"),
        GrammarFormat('root ::= "a', "guided_regex"),
        GrammarFormat('rule ::= "a"', "guided_regex"),
        GrammarFormat("root ::= " + "(" * 5000, "guided_regex"),
    ],
)
def test_format_that_cannot_be_enforced_names_its_field(grammars: Grammars, form: AnswerFormat):
    with pytest.raises(InvalidInput) as caught:
        grammars.answer(form)
    assert caught.value.param == "guided_regex"


WEATHER = Tool(
    "get_weather",
    parameters=json.dumps(
        {
            "type": "object",
            "properties": {"city": {"enum": ["Rome", "Oslo"]}},
            "required": ["city"],
            "additionalProperties": False,
        }
    ),
)
CLOCK = Tool("clock", parameters='{"properties":{"zone":{"type":"integer"}},"additionalProperties":false}')


def calls_of(text: str) -> list[dict[str, Any]]:
    calls = text.split("</tool_call>\n<tool_call>")
    assert calls[0].startswith("<tool_call>\n") and calls[-1].endswith("\n</tool_call>"), text
    return [json.loads(re.sub("</?tool_call>", "", call)) for call in calls]


def test_required_call_is_one_of_the_tools_with_its_own_arguments(grammars: Grammars):
    seen = set[str]()
    for seed in range(12):
        constraint = grammars.tool_calls([WEATHER, CLOCK], JSON_TOOLS, parallel=False)
        (call,) = calls_of(text_of(answer(constraint, seed)))
        seen.add(call["name"])
        if call["name"] == "get_weather":
            assert call["arguments"] in ({"city": "Rome"}, {"city": "Oslo"})
        else:
            assert isinstance(call["arguments"], dict) and set(call["arguments"]) <= {"zone"}
    assert seen == {"get_weather", "clock"}


def test_named_tool_is_the_one_that_is_called(grammars: Grammars):
    for seed in range(4):
        constraint = grammars.tool_calls([WEATHER, CLOCK], JSON_TOOLS, name="clock", parallel=False)
        assert calls_of(text_of(answer(constraint, seed)))[0]["name"] == "clock"


def test_several_calls_are_allowed_only_in_parallel(grammars: Grammars):
    call = '<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call>'
    one = after(grammars.tool_calls([CLOCK], JSON_TOOLS, parallel=False), call)
    assert allowed(one) == {END, TURN}
    more = after(grammars.tool_calls([CLOCK], JSON_TOOLS), call)
    assert allowed(more) == {END, TURN, *ids("\n")}
    assert after(more, "\n" + call).complete


def test_call_begins_with_the_models_own_token_for_it(grammars: Grammars):
    constraint = grammars.tool_calls([CLOCK], JSON_TOOLS)
    assert allowed(constraint) == {TOKENIZER.token_to_id("<tool_call>")}


def test_call_text_of_another_model_is_followed(grammars: Grammars):
    text = CallText(begin="[TOOL_CALLS]", middle="[ARGS]", end="")
    constraint = grammars.tool_calls([WEATHER], text, parallel=False)
    assert after(constraint, '[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo"}').complete


def test_calls_wait_for_the_end_of_reasoning(grammars: Grammars):
    constraint = grammars.tool_calls([CLOCK], JSON_TOOLS, after=ids("</think>"))
    assert len(allowed(constraint)) == VOCAB_SIZE - 2
    assert len(allowed(after(constraint, "clock</think>"))) == 1


def test_an_answer_in_a_format_may_be_a_call_instead(grammars: Grammars):
    constraint = grammars.answer_or_calls(json_form(PERSON), [WEATHER, CLOCK], JSON_TOOLS)
    assert allowed(constraint) & set(ids('{x"<')) == set(ids("{"))
    assert TOKENIZER.token_to_id("<tool_call>") in allowed(constraint)
    assert after(constraint.restarted(), '{"name": "a", "age": 1}').complete
    call = '<tool_call>\n{"name": "clock", "arguments": {"anything": [1]}}\n</tool_call>'
    assert after(constraint.restarted(), call + "\n" + call).complete
    assert allowed(after(constraint.restarted(), call)) == {END, TURN, *ids("\n")}
    one = grammars.answer_or_calls(json_form(PERSON), [CLOCK], JSON_TOOLS, parallel=False)
    assert allowed(after(one, call)) == {END, TURN}


def test_a_strict_tool_beside_a_format_is_called_by_its_schema(grammars: Grammars):
    strict = msgspec.structs.replace(WEATHER, strict=True)
    begun = after(
        grammars.answer_or_calls(json_form(PERSON), [strict, CLOCK], JSON_TOOLS),
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "',
    )
    assert not allowed(begun) & set(ids("x"))


@pytest.mark.parametrize("seed", range(6))
def test_whatever_a_model_writes_is_the_format_or_calls(grammars: Grammars, seed: int):
    text = text_of(answer(grammars.answer_or_calls(json_form(PERSON), [CLOCK], JSON_TOOLS), seed))
    if text.startswith("<tool_call>"):
        assert {call["name"] for call in calls_of(text)} == {"clock"}
    else:
        assert set(json.loads(text)) == {"name", "age"}


def test_what_is_wrong_beside_tools_is_named(grammars: Grammars):
    for form, tools, param in (
        (JsonFormat('{"type": "foo"}'), [CLOCK], "response_format"),
        (json_form(PERSON), [Tool("big", parameters='{"if": {}}', strict=True)], "tools"),
    ):
        with pytest.raises(InvalidInput) as caught:
            grammars.answer_or_calls(form, tools, JSON_TOOLS)
        assert caught.value.param == param


def test_strict_tool_is_called_by_its_schema_or_not_at_all(grammars: Grammars):
    strict = msgspec.structs.replace(WEATHER, strict=True)
    free = grammars.strict_calls([strict, CLOCK], JSON_TOOLS)
    assert free is not None and free.complete
    assert allowed(free) == set(range(VOCAB_SIZE))
    told = after(free.restarted(), "the red fox {")
    assert told.complete and {END, TURN} < allowed(told)
    begun = after(free.restarted(), 'I look.\n<tool_call>\n{"name": "')
    assert not begun.complete
    assert not allowed(begun) & {END, TURN, *ids("x")}
    calls = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
    assert after(free.restarted(), calls).complete
    assert after(free.restarted(ids(calls)), "\n" + calls).complete
    wrong = after(free.restarted(), '<tool_call>\n{"name": "get_weather", "arguments": {"city": "')
    assert not allowed(wrong) & set(ids("x"))
    loose = '<tool_call>\n{"name": "clock", "arguments": {"anything": [1]}}\n</tool_call>'
    assert after(free.restarted(), loose).complete


def test_answer_is_free_again_behind_a_call_of_a_strict_tool(grammars: Grammars):
    free = grammars.strict_calls([msgspec.structs.replace(WEATHER, strict=True)], JSON_TOOLS)
    assert free is not None
    call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
    for behind in ("", "\n", "\nthe red fox", call, "\nthe" + call + "\n\n" + call + "fox"):
        told = after(free.restarted(), call + behind)
        assert told.complete and told.failure is None
        assert allowed(told) == set(range(VOCAB_SIZE))
        again = after(told, '\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "')
        assert not allowed(again) & {END, TURN, *ids("x")}
        resumed = free.restarted(ids(call + behind + "<tool_call>"))
        assert allowed(resumed) == allowed(after(free.restarted(), "<tool_call>"))


@pytest.mark.parametrize(("start", "end"), [([50], ids("</think>")), ([50, 51], [51, 51, 50])])
@pytest.mark.parametrize("thinks", [True, False])
def test_call_that_thoughts_mention_is_held_to_nothing(
    grammars: Grammars, start: list[int], end: list[int], thinks: bool
):
    strict, anything = msgspec.structs.replace(WEATHER, strict=True), set(range(VOCAB_SIZE))
    free = grammars.strict_calls([strict], JSON_TOOLS, thoughts=(start, end), thinks=thinks)
    assert free is not None
    call = ids('<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>')
    mention, begun = ids("the <tool_call> of x"), [] if thinks else [*ids("the fox"), *start]
    assert allowed(free.restarted([*begun, *mention])) == anything
    assert allowed(free.restarted([*begun, *mention, *end])) == anything
    thought = [*begun, *mention, *end, *ids("fox")]
    assert not allowed(free.restarted([*thought, call[0]])) & {END, TURN, *ids("x")}
    assert allowed(free.restarted([*thought, *call, *start, *mention])) == anything  # it thinks again


def test_strict_tool_whose_schema_cannot_be_enforced_is_refused(grammars: Grammars):
    with pytest.raises(InvalidInput, match="the schema of x") as caught:
        grammars.strict_calls([CLOCK, Tool("x", parameters='{"not":{}}', strict=True)], JSON_TOOLS)
    assert caught.value.param == "tools"
    assert grammars.strict_calls([CLOCK, Tool("x", parameters='{"not":{}}')], JSON_TOOLS) is not None
    assert grammars.strict_calls([Tool("x", strict=True)], CallText("call ", "", "")) is None


@pytest.mark.parametrize(
    ("tools", "name", "param"),
    [
        ([CLOCK], "other", "tool_choice"),
        ([], None, "tool_choice"),
        ([Tool("x", parameters='{"not":{}}', strict=True)], None, "tools"),
        ([CLOCK, Tool("x", parameters="[]")], None, "tools"),
    ],
)
def test_tools_that_cannot_be_forced_name_their_field(
    grammars: Grammars, tools: list[Tool], name: str | None, param: str
):
    with pytest.raises(InvalidInput) as caught:
        grammars.tool_calls(tools, JSON_TOOLS, name=name)
    assert caught.value.param == param


def test_transformers_tokenizer_serves_as_well_as_its_own_backend(grammars: Grammars):
    truncating = Tokenizer.from_str(TOKENIZER.to_str())
    truncating.enable_truncation(2)
    truncating.enable_padding(length=30)
    wrapped = Grammars(PreTrainedTokenizerFast(tokenizer_object=truncating), [END, TURN])
    form = json_form(PERSON)
    assert answer(wrapped.answer(form), 2) == answer(grammars.answer(form), 2)
    assert truncating.truncation is not None


@pytest.mark.parametrize(("tokenizer", "eos"), [(object(), [END]), (TOKENIZER, []), (TOKENIZER, [10**6])])
def test_model_without_a_tokenizer_or_an_end_token_is_refused(tokenizer: object, eos: list[int]):
    with pytest.raises(InvalidInput, match=r"tokenizer\.json"):
        Grammars(tokenizer, eos).answer(JsonFormat())


def test_tokenizer_that_marks_spaces_and_falls_back_to_bytes_is_understood():
    tokenizer = vocabularies.gemma_bpe()
    end, tokens = 1, list[int]()
    assert tokenizer.id_to_token(end) == "<eos>"
    constraint = Grammars(tokenizer, [end]).answer(json_form({"const": "a red fox ü"}))
    while end not in tokens:
        logits = constraint(mx.array([9, *tokens]), mx.arange(tokenizer.get_vocab_size())[None] * 1.0)
        tokens.append(most_probable(logits))
    assert json.loads(tokenizer.decode(tokens)) == "a red fox ü"
    assert tokenizer.token_to_id("▁red") in tokens


def test_tokenizer_of_an_unknown_kind_is_refused():
    with pytest.raises(InvalidInput, match="decoder") as caught:
        Grammars(vocabularies.unigram(), [2]).answer(JsonFormat())
    assert caught.value.param == "model"


def test_constraints_made_in_other_threads_are_used_here():
    grammars, made = Grammars(TOKENIZER, [END]), list[GrammarConstraint]()
    threads = [threading.Thread(target=lambda: made.append(grammars.answer(JsonFormat()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [allowed(constraint) for constraint in made] == [set(ids("{")) | {TOKENIZER.token_to_id('{"')}] * 4
