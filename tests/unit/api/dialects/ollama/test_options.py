"""Ollama's options, formats and durations, in the words of a job."""

import json
import math

import msgspec
import pytest

from api.dialects.ollama.options import (
    OllamaOptions,
    keep_alive_s,
    max_tokens_of,
    ollama_format,
    ollama_sampling,
    think_options,
)
from jobs.answer_format import JsonFormat
from jobs.errors import InvalidInput
from jobs.generate import Sampling


def test_what_is_not_said_is_as_in_ollama():
    assert ollama_sampling(OllamaOptions()) == Sampling(
        temperature=0.8,
        top_k=40,
        top_p=0.9,
        repetition_penalty=1.1,
        repetition_context=64,
        presence_context=64,
        frequency_context=64,
    )
    assert max_tokens_of(OllamaOptions()) is None


def test_each_option_finds_its_place():
    asked = OllamaOptions(
        temperature=0.5,
        top_k=7,
        top_p=0.6,
        min_p=0.1,
        seed=11,
        repeat_penalty=1.3,
        repeat_last_n=32,
        presence_penalty=0.4,
        frequency_penalty=-0.5,
        num_predict=9,
    )
    assert ollama_sampling(asked) == Sampling(
        temperature=0.5,
        top_p=0.6,
        top_k=7,
        min_p=0.1,
        seed=11,
        repetition_penalty=1.3,
        repetition_context=32,
        presence_penalty=0.4,
        presence_context=32,
        frequency_penalty=-0.5,
        frequency_context=32,
    )
    assert max_tokens_of(asked) == 9


def test_zero_is_not_taken_for_unsaid():
    found = ollama_sampling(OllamaOptions(temperature=0, top_k=0, seed=0))
    assert (found.temperature, found.top_k, found.seed) == (0.0, 0, 0)


def test_penalties_over_no_tokens_are_none():
    asked = OllamaOptions(repeat_last_n=0, repeat_penalty=2, presence_penalty=1, frequency_penalty=1)
    found = ollama_sampling(asked)
    assert (found.repetition_penalty, found.presence_penalty, found.frequency_penalty) == (1.0, 0.0, 0.0)


def test_penalties_over_the_whole_context_look_at_all_tokens():
    found = ollama_sampling(OllamaOptions(repeat_last_n=-1, repeat_penalty=2))
    assert (found.repetition_penalty, found.repetition_context) == (2.0, 0)


def test_a_negative_top_k_or_seed_is_none():
    found = ollama_sampling(OllamaOptions(top_k=-1, seed=-1))
    assert (found.top_k, found.seed) == (0, None)


@pytest.mark.parametrize("number", [16.0, 16.9])
def test_whole_numbers_are_read_as_ollama_reads_them(number: float):
    asked = msgspec.json.decode(
        msgspec.json.encode(dict.fromkeys(("num_predict", "top_k", "seed", "repeat_last_n"), number)),
        type=OllamaOptions,
    )

    found = ollama_sampling(asked)

    assert (found.top_k, found.seed, found.repetition_context, max_tokens_of(asked)) == (16, 16, 16, 16)
    assert not any(isinstance(each, float) for each in (found.top_k, found.seed, max_tokens_of(asked)))


@pytest.mark.parametrize(
    ("options", "sampled"),
    [
        ({"top_p": 1.5, "top_k": 0}, {"top_p": 1.0, "top_k": 0}),
        ({"top_p": -1}, {"temperature": 0.0, "top_p": 1.0}),
        ({"top_k": -5}, {"top_k": 0}),
        ({"min_p": 2}, {"min_p": 1.0}),
        ({"min_p": -0.5}, {"min_p": 0.0}),
        ({"temperature": 3}, {"temperature": 3.0}),
        ({"temperature": -1}, {"temperature": 0.0}),
        ({"temperature": 1e300}, {"temperature": 100.0}),
        ({"repeat_penalty": 0}, {"repetition_penalty": 1.0}),
        ({"repeat_penalty": 1e300}, {"repetition_penalty": 10.0}),
        ({"repeat_last_n": -2}, {"repetition_penalty": 1.0, "repetition_context": 0}),
        ({"presence_penalty": -1e300, "frequency_penalty": 1e300},
         {"presence_penalty": -100.0, "frequency_penalty": 100.0}),
        ({"seed": 1e300}, {"seed": 2**63 - 1}),
    ],
    ids=str,
)  # fmt: skip
def test_numbers_that_mean_nothing_are_the_nearest_that_do(
    options: dict[str, float], sampled: dict[str, float]
):
    found = ollama_sampling(msgspec.convert(options, OllamaOptions))

    assert {name: getattr(found, name) for name in sampled} == sampled


@pytest.mark.parametrize("unlimited", [-1e300, -5, -2, -1, 0, 0.5])
def test_an_answer_without_a_positive_limit_has_none(unlimited: float):
    assert max_tokens_of(OllamaOptions(num_predict=unlimited)) is None


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        (None, None),
        ("", None),
        (0, 0),
        (0.5, 0.5),
        ("0", 0),
        ("30", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        ("250ms", 0.25),
        (-1, math.inf),
        ("-1", math.inf),
        ("-1m", math.inf),
        ("+5m", 300),
        (".5h", 1800),
        ("1.h", 3600),
        ("3\u00b5s", 3e-6),
        ("3\u03bcs", 3e-6),
        ("-0", 0),
        (1e300, math.inf),
        ("999999999999h", math.inf),
    ],
)
def test_a_model_stays_as_long_as_its_caller_says(asked: float | str | None, seconds: float | None):
    assert keep_alive_s(asked) == seconds


@pytest.mark.parametrize(
    "asked",
    ["soon", "5 m", "m", "5x", "1h 2m", ".h", ".", "٣m", math.nan, math.inf, "9" * 400 + "h", "1h" * 51],
)
def test_a_duration_that_is_none_is_refused(asked: float | str):
    with pytest.raises(InvalidInput) as refused:
        keep_alive_s(asked)
    assert refused.value.param == "keep_alive"


def test_a_format_is_any_json_or_a_schema():
    schema = {"type": "object"}
    assert ollama_format(None) is ollama_format("") is None
    assert ollama_format("json") == JsonFormat(param="format")
    found = ollama_format(schema)
    assert found and found.schema and json.loads(found.schema) == schema
    with pytest.raises(InvalidInput, match="xml"):
        ollama_format("xml")


@pytest.mark.parametrize(
    ("asked", "options"),
    [
        (None, {}),
        (True, {"enable_thinking": True}),
        (False, {"enable_thinking": False}),
        ("high", {"enable_thinking": True, "reasoning_effort": "high"}),
    ],
)
def test_thinking_is_the_templates_to_switch(asked: object, options: dict[str, object]):
    assert json.loads(think_options(asked)) == options  # pyright: ignore[reportArgumentType]
