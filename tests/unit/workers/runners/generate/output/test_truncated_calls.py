"""A call that max_tokens cut is told as far as it goes, in every notation that mlx-lm reads."""

import importlib
import json
from typing import Any, NamedTuple

import pydantic_core
import pytest
from tokenizers import Tokenizer

from tests.support.fake_generator import byte_tokenizer
from tests.support.transcripts import TOOLS, write
from workers.runners.generate.output.segments import REASONING
from workers.runners.generate.output.truncated_calls import (
    FoundCall,
    Parse,
    found_calls,
    read_truncated_calls,
)

NAMES = ("get_weather", "get_time", "get")
ARGUMENTS: dict[str, Any] = {"city": "Rio, (old)", "days": 3}


class Notation(NamedTuple):
    """How one of mlx-lm's readers has a call of get_weather with ARGUMENTS, and one of get_time. The latter is "" where
    each call has markers of its own.
    """

    reader: str
    first: str
    second: str = ""


NOTATIONS = (
    Notation("json_tools", '\n{"name": "get_weather", "arguments": {"city": "Rio, (old)", "days": 3}}\n'),
    Notation(
        "mistral",
        '[{"name": "get_weather", "arguments": {"city": "Rio, (old)", "days": 3}}, ',
        '{"name": "get_time", "arguments": {"city": "Lima"}}]',
    ),
    Notation(
        "mistral",
        'get_weather[ARGS]{"city": "Rio, (old)", "days": 3}',
        'get_time[ARGS]{"city": "Lima"}',
    ),
    Notation(
        "kimi_k2",
        "<|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>"
        '{"city": "Rio, (old)", "days": 3}<|tool_call_end|>',
        "<|tool_call_begin|>functions.get_time:1<|tool_call_argument_begin|>"
        '{"city": "Lima"}<|tool_call_end|>',
    ),
    Notation(
        "kimi_k3",
        '<|open|>call tool="get_weather" index="1"<|sep|><|open|>argument key="city" type="string"<|sep|>Rio, (old)'
        '<|close|>argument<|sep|><|open|>argument key="days" type="number"<|sep|>3<|close|>argument<|sep|>'
        "<|close|>call<|sep|>",
        '<|open|>call tool="get_time" index="2"<|sep|><|open|>argument key="city" type="string"<|sep|>Lima'
        "<|close|>argument<|sep|><|close|>call<|sep|>",
    ),
    Notation(
        "qwen3_coder",
        "\n<function=get_weather>\n<parameter=city>\nRio, (old)\n</parameter>\n<parameter=days>\n3\n</parameter>\n"
        "</function>\n",
    ),
    Notation(
        "glm47",
        "get_weather<arg_key>city</arg_key><arg_value>Rio, (old)</arg_value><arg_key>days</arg_key>"
        "<arg_value>3</arg_value>",
    ),
    Notation(
        "longcat",
        "get_weather<longcat_arg_key>city</longcat_arg_key><longcat_arg_value>Rio, (old)</longcat_arg_value>"
        "<longcat_arg_key>days</longcat_arg_key><longcat_arg_value>3</longcat_arg_value>",
    ),
    Notation(
        "minimax_m2",
        '<invoke name="get_weather"><parameter name="city">Rio, (old)</parameter><parameter name="days">3</parameter>'
        "</invoke>\n",
        '<invoke name="get_time"><parameter name="city">Lima</parameter></invoke>\n',
    ),
    Notation(
        "minicpm5",
        '"get_weather"><param name="city">Rio, (old)</param><param name="days">3</param>',
    ),
    Notation(
        "muse_spark",
        '<atem:invoke name="get_weather"><atem:parameter name="city">Rio, (old)</atem:parameter>'
        '<atem:parameter name="days">3</atem:parameter></atem:invoke>',
        '<atem:invoke name="get_time"><atem:parameter name="city">Lima</atem:parameter></atem:invoke>',
    ),
    Notation("pythonic", '[get_weather(city="Rio, (old)", days=3)', ", get_time(city='Lima')]"),
    Notation(
        "gemma4",
        'call:get_weather{city:<|"|>Rio, (old)<|"|>,days:3}',
        'call:get_time{city:<|"|>Lima<|"|>}',
    ),
    Notation("function_gemma", "call:get_weather{city:<escape>Rio, (old)<escape>,days:3}"),
)
IDS = [f"{each.reader}-{len(each.first)}" for each in NOTATIONS]


def reader_of(notation: Notation) -> Parse:
    parse = importlib.import_module(f"mlx_lm.tool_parsers.{notation.reader}").parse_tool_call
    properties = {"city": {"type": "string"}, "days": {"type": "integer"}}
    tools = [
        {"type": "function", "function": {"name": name, "parameters": {"properties": properties}}}
        for name in NAMES
    ]
    return lambda text: parse(text, tools)


def members(call: FoundCall) -> dict[str, Any]:
    """Of a cut call, those that are complete."""
    return pydantic_core.from_json(call.arguments or "{", allow_partial=True)


@pytest.mark.parametrize("notation", NOTATIONS, ids=IDS)
def test_each_beginning_of_calls_is_read_as_far_as_it_goes(notation: Notation):
    parse, text = reader_of(notation), notation.first + notation.second
    expected = [("get_weather", ARGUMENTS), *([("get_time", {"city": "Lima"})] if notation.second else [])]
    assert [(each.name, json.loads(each.arguments)) for each in found_calls(parse(text))] == expected
    most: list[int] = []
    for end in range(len(text) + 1):
        found = read_truncated_calls(text[:end], parse, NAMES)
        assert [each.name for each in found] == [name for name, _ in expected[: len(found)]], text[:end]
        assert not any(each.truncated for each in found[:-1]), text[:end]
        for call, (_, whole) in zip(found, expected, strict=False):
            assert members(call).items() <= whole.items(), text[:end]
            assert call.truncated or members(call) == whole, text[:end]
        most.append(sum(1 + len(members(each)) for each in found))
    assert most == sorted(most)  # the longer the text, the more is told
    assert most[-1] == sum(1 + len(arguments) for _, arguments in expected)
    assert most[len(notation.first) - 5] >= 2  # its name, and the first argument


@pytest.mark.parametrize("notation", NOTATIONS, ids=IDS)
def test_what_is_no_call_is_read_as_none(notation: Notation):
    for text in (
        "",
        "\n",
        "no call",
        "{",
        "[",
        '{"',
        "get_weather",
        '"get_weather',
        "((((",
        '{"name": "none", "argu',
    ):
        assert read_truncated_calls(text, reader_of(notation), NAMES) == []


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ('{"name": "get_time"', ""),
        ('{"name": "get_time", "argu', ""),
        ('{"name": "get_time", "arguments": ', ""),
        ('{"name": "get_time", "arguments": {"a": "b\\', '{"a": "b\\'),
        ('{"name": "get_time", "arguments": {"a": {"name": "x", "arguments": {}}, ', None),
        ('{"name": "get_time", "parameters": {"a": [1, {"b"', '{"a": [1, {"b"'),
        ('{"name": "get_time", "arguments": "{\\"a\\": \\"b', '{"a": "b'),
        ('{"name": "get_time", "arguments": "{\\"a\\": \\', '{"a": '),
    ],
)
def test_arguments_in_json_are_what_the_model_wrote(text: str, arguments: str | None):
    if arguments is None:
        arguments = text.partition('"arguments": ')[2]
    assert read_truncated_calls(text, json.loads, NAMES) == [FoundCall("get_time", arguments, truncated=True)]


def test_json_in_an_argument_is_no_call():
    text = '<function=get_weather>\n<parameter=city>\n{"name": "get_time", "arguments": {"a'
    coder = next(each for each in NOTATIONS if each.reader == "qwen3_coder")
    assert read_truncated_calls(text, reader_of(coder), NAMES) == [
        FoundCall("get_weather", "{", truncated=True)
    ]


def test_call_that_lacks_only_its_end_is_whole():
    text = '{"name": "get_time", "arguments": {"city": "Lima"}'
    assert read_truncated_calls(text, json.loads, NAMES) == [FoundCall("get_time", '{"city": "Lima"}')]


def test_name_that_may_go_on_is_no_name():
    """There is a tool "get", too."""
    assert read_truncated_calls('{"name": "get', json.loads, NAMES) == []
    for notation in NOTATIONS:
        beginning, _, _ = notation.first.partition("_weather")
        assert read_truncated_calls(beginning, reader_of(notation), NAMES) == []


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return byte_tokenizer()


@pytest.mark.parametrize("before", ["", "I look. ", "<think>hm</think>"])
@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ('<tool_call>{"name": "get_weather", "arguments": {"city": "Os', '{"city": "Os'),
        ('<tool_call>{"name": "get_weather", "arg', ""),
        ('<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}', '{"city": "Oslo"}'),
        ('<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool', '{"city": "Oslo"}'),
    ],
)
def test_length_cuts_a_call(
    tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture, before: str, written: str, arguments: str
):
    transcript, pieces = write(tokenizer, before + written, transitions=TOOLS, end=False)
    answer = transcript.choice_so_far()
    [call] = answer.tool_calls
    assert (call.name, call.arguments, call.cut) == ("get_weather", arguments, arguments[-1:] != "}")
    assert (answer.text + answer.reasoning, answer.finish_reason) == (
        before.replace("<think>", "").replace("</think>", ""),
        "length",
    )
    assert pieces[-1].tool_calls == (call,)
    assert not caplog.records


@pytest.mark.parametrize("written", ["", "\n", '{"na', '{"name": "get_we'])
def test_call_whose_name_is_truncated_is_left_out(
    tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture, written: str
):
    transcript, _ = write(tokenizer, "I look. <tool_call>" + written, transitions=TOOLS, end=False)
    answer = transcript.choice_so_far()
    assert (answer.text, answer.tool_calls, answer.finish_reason) == ("I look. ", (), "length")
    told = [(record.getMessage(), record.__dict__["characters"]) for record in caplog.records]
    assert told == ([("a truncated tool call could not be read", len(written))] if written.strip() else [])


@pytest.mark.parametrize("one_call", [True, False])
def test_first_call_is_whole_where_the_second_is_cut(tokenizer: Tokenizer, one_call: bool):
    first = '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call>'
    second = '\n<tool_call>{"name": "get_time", "arguments": {"ci'
    transcript, _ = write(tokenizer, first + second, transitions=TOOLS, end=False, one_call=one_call)
    answer = transcript.choice_so_far()
    told = [(call.name, call.arguments, call.cut) for call in answer.tool_calls]
    whole = ("get_weather", '{"city": "Oslo"}', False)
    assert told == ([whole] if one_call else [whole, ("get_time", '{"ci', True)])
    assert answer.finish_reason == ("tool_calls" if one_call else "length")
    assert answer.text == ""


def test_length_cuts_thoughts(tokenizer: Tokenizer):
    transcript, _ = write(tokenizer, "hm, <th", transitions=TOOLS, initial=REASONING, end=False)
    answer = transcript.choice_so_far()
    assert (answer.reasoning, answer.text, answer.finish_reason) == ("hm, <th", "", "length")


def test_call_that_the_model_does_not_close_is_read_all_the_same(tokenizer: Tokenizer):
    transcript, _ = write(tokenizer, '<tool_call>{"name": "f", "arguments": {}}', transitions=TOOLS)
    answer = transcript.choice_so_far()
    assert ([call.name for call in answer.tool_calls], answer.finish_reason) == (["f"], "tool_calls")


def test_broken_call_has_no_end_marker_that_the_model_did_not_write(tokenizer: Tokenizer):
    transcript, _ = write(tokenizer, '<tool_call>{"name": "f"', transitions=TOOLS)
    answer = transcript.choice_so_far()
    assert (answer.text, answer.finish_reason) == ('<tool_call>{"name": "f"', "stop")


@pytest.mark.parametrize(
    "text",
    [
        "a" * 400_000,
        "functions." * 40_000,
        "get_weather[ARGS]{}" + "a" * 400_000,
        '{"name": "get_weather", ""' + " " * 400_000 + "x",
        '{"name": "get_weather' * 20_000,
        '\n{"name"' + " " * 400_000,
    ],
    ids=lambda text: text[:24].strip(),
)
@pytest.mark.timeout(120)  # milliseconds if read once, hours if read again from each place
def test_what_a_model_repeats_without_end_is_read_once(text: str):
    assert [call for call in read_truncated_calls(text, json.loads, NAMES) if call.arguments] in (
        [],
        [FoundCall("get_weather", "{}")],
    )


class Copied(str):  # noqa: SLOT000
    """Counts the characters that are copied out of it."""

    characters = 0

    def __getitem__(self, key: Any) -> str:
        part = super().__getitem__(key)
        self.characters += len(part)
        return part


def test_a_call_with_many_arguments_is_copied_once():
    text = Copied("[get_weather(a=[" + "1, " * 1000)
    notation = next(each for each in NOTATIONS if each.reader == "pythonic")
    assert [call.name for call in read_truncated_calls(text, reader_of(notation), NAMES)] == ["get_weather"]
    assert text.characters <= len(text)


def test_brackets_without_end_reach_no_reader():
    read: list[str] = []

    def parse(text: str) -> Any:
        read.append(text)
        raise ValueError

    assert read_truncated_calls("{" * 20_000, parse, NAMES) == []
    assert read_truncated_calls("1," * 20_000, parse, NAMES) == []
    assert read == []
    assert read_truncated_calls("get_weather" + "(" * 20_000, parse, NAMES) == []
    assert max(text.count(")") for text in read) == 0
