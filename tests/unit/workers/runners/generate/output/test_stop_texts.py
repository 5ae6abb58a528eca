"""A stop text ends an answer where it stands in what the caller sees, and nowhere else."""

import json
from collections.abc import Sequence

import pytest
from tokenizers import Tokenizer

from tests.support.fake_generator import byte_tokenizer
from tests.support.transcripts import TOOLS, output_format_of, write, write_ids
from workers.runners.generate.output.segments import NORMAL, REASONING
from workers.runners.generate.output.transcript import Transcript

OSLO, ROME = (
    f'<tool_call>{{"name": "get_weather", "arguments": {{"city": "{city}"}}}}</tool_call>'
    for city in ("Oslo", "Rome")
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return byte_tokenizer()


@pytest.mark.parametrize("stop", ["\n", "\n\n", " ", "\n\n "])
def test_white_space_between_thoughts_and_answer_stops_nothing(tokenizer: Tokenizer, stop: str):
    transcript, _ = write(
        tokenizer, "hm</think>\n\n Twelve", stop=[stop], transitions=TOOLS, initial=REASONING
    )
    answer = transcript.choice_so_far()
    assert (answer.reasoning, answer.text, answer.stop) == ("hm", "Twelve", None)


@pytest.mark.parametrize("stop", ["\n", " "])
def test_white_space_before_thoughts_or_calls_is_none_of_the_answer(tokenizer: Tokenizer, stop: str):
    """GLM-4.5 begins its thoughts with a line break."""
    for stops in ([stop], []):
        transcript, _ = write(tokenizer, f"\n <think>hm</think>\n{OSLO}", stop=stops, transitions=TOOLS)
        answer = transcript.choice_so_far()
        assert (answer.reasoning, answer.text, len(answer.tool_calls)) == ("hm", "", 1)
        transcript, _ = write(tokenizer, f"\n {OSLO}", stop=stops, transitions=TOOLS)
        assert (transcript.choice_so_far().text, len(transcript.choice_so_far().tool_calls)) == ("", 1)


@pytest.mark.parametrize(("text", "end"), [("\n One", True), (" \n", True), ("\n\n", False), ("\n<t", False)])
def test_white_space_at_the_beginning_stays_where_no_marker_follows(
    tokenizer: Tokenizer, text: str, end: bool
):
    transcript, _ = write(tokenizer, text, transitions=TOOLS, end=end)
    assert transcript.choice_so_far().text == text
    transcript, _ = write(tokenizer, text, stop=["\n"], transitions=TOOLS, end=end)
    answer = transcript.choice_so_far()
    assert (answer.text, answer.stop, answer.finish_reason) == (text.partition("\n")[0], "\n", "stop")


def test_answers_to_one_job_stop_each_by_itself(tokenizer: Tokenizer):
    output_format = output_format_of(tokenizer, TOOLS, stop=["END"])
    written = [
        write_ids(output_format, tokenizer.encode(text).ids)[0]
        for text in ("one EN", "D two", "three END four")
    ]
    assert [transcript.choice_so_far().text for transcript in written] == ["one EN", "D two", "three "]
    assert [transcript.stop for transcript in written] == [None, None, "END"]


def test_white_space_in_the_answer_stops_it_also_after_thoughts(tokenizer: Tokenizer):
    transcript, _ = write(
        tokenizer, "hm</think>\n\nOne\ntwo", stop=["\n"], transitions=TOOLS, initial=REASONING
    )
    answer = transcript.choice_so_far()
    assert (answer.text, answer.stop, answer.finish_reason) == ("One", "\n", "stop")


@pytest.mark.parametrize("stop", ["\n", "\n\n"])
@pytest.mark.parametrize("between", ["\n", "\n\n", " \n \n"])
def test_no_parallel_call_is_lost_to_white_space_between_calls(tokenizer: Tokenizer, stop: str, between: str):
    transcript, _ = write(tokenizer, OSLO + between + ROME + "\n", stop=[stop], transitions=TOOLS)
    answer = transcript.choice_so_far()
    assert [json.loads(call.arguments)["city"] for call in answer.tool_calls] == ["Oslo", "Rome"]
    assert (answer.text, answer.finish_reason, answer.stop) == ("", "tool_calls", None)


@pytest.mark.parametrize("stop", ["<", "<tool", "Oslo", '"', "tool_call>", "hm", "thi", "{"])
def test_neither_thoughts_nor_markers_nor_calls_are_searched(tokenizer: Tokenizer, stop: str):
    transcript, _ = write(tokenizer, f"<think>hm</think>{OSLO}", stop=[stop], transitions=TOOLS)
    answer = transcript.choice_so_far()
    assert answer.reasoning == "hm"
    assert [call.name for call in answer.tool_calls] == ["get_weather"]
    assert (answer.finish_reason, answer.stop) == ("tool_calls", None)


def test_what_only_looks_like_a_marker_is_searched(tokenizer: Tokenizer):
    transcript, _ = write(tokenizer, "a <tool> b", stop=["<tool"], transitions=TOOLS)
    answer = transcript.choice_so_far()
    assert (answer.text, answer.stop) == ("a ", "<tool")


def test_text_before_and_behind_a_marker_makes_no_stop_text(tokenizer: Tokenizer):
    transcript, _ = write(tokenizer, "one E<think>hm</think>ND two", stop=["END"], transitions=TOOLS)
    assert transcript.choice_so_far().text == "one END two"


def test_visible_text_before_a_call_is_searched(tokenizer: Tokenizer):
    transcript, _ = write(tokenizer, f"I look.\n{OSLO}", stop=["\n"], transitions=TOOLS)
    answer = transcript.choice_so_far()
    assert (answer.text, answer.tool_calls, answer.stop) == ("I look.", (), "\n")


def test_an_answer_that_begins_with_its_stop_text_is_empty(tokenizer: Tokenizer):
    transcript, pieces = write(tokenizer, "\nOne", stop=["\n"])
    answer = transcript.choice_so_far()
    assert (answer.text, answer.finish_reason, answer.stop) == ("", "stop", "\n")
    assert [piece.text for piece in pieces] == [""]


def test_a_text_that_is_only_continued_keeps_its_white_space(tokenizer: Tokenizer):
    transcript, _ = write(tokenizer, " <think>\n\n one. two", stop=["."])
    assert transcript.choice_so_far().text == " <think>\n\n one"


@pytest.mark.parametrize(
    ("stop", "text", "reasoning"),
    [
        ("</think>", "", "hm"),
        ("<tool_call>", "So: ", "hm"),
        ("</tool_call>", "So: ", "hm"),
        ("m</think>", "", "h"),
    ],
)
def test_a_stop_text_that_names_a_marker_ends_the_answer_there(
    tokenizer: Tokenizer, stop: str, text: str, reasoning: str
):
    written = f"<think>hm</think>So: {OSLO}\n{ROME}"
    transcript, _ = write(tokenizer, written, stop=[stop], transitions=TOOLS)
    answer = transcript.choice_so_far()
    assert (answer.text, answer.reasoning, answer.stop) == (text, reasoning, stop)
    assert [json.loads(call.arguments)["city"] for call in answer.tool_calls] == (
        ["Oslo"] if stop == "</tool_call>" else []
    )


@pytest.mark.parametrize("stops", [["two", "END"], ["END"], ["D", "END"], ["ENDURE", "END"]])
def test_pieces_hold_no_part_of_a_stop_text(tokenizer: Tokenizer, stops: Sequence[str]):
    _, pieces = write(tokenizer, "hm</think>\none END two", stop=stops, transitions=TOOLS, initial=REASONING)
    assert "".join(piece.text for piece in pieces) == "one "
    assert pieces[-1].stop == "END"


def test_another_worker_goes_on_with_the_same_stop_texts(tokenizer: Tokenizer):
    written = f"hm</think>\n\nI look\n{OSLO}"
    output_format = output_format_of(tokenizer, TOOLS, stop=["k\n"], initial=REASONING)
    ids = tokenizer.encode(written).ids
    for cut in range(len(ids)):
        first, second = Transcript(output_format), Transcript(output_format)
        published = [piece for token in ids[:cut] if not first.add(token) and (piece := first.take())]
        second.replay(published)
        for token in ids[len(second.tokens) :]:
            second.add(token)
            second.take()
        answer = second.choice_so_far()
        assert (answer.text, answer.stop, answer.tool_calls) == ("I loo", "k\n", ())


def test_marks_are_no_stop_texts_where_nobody_asked_for_one(tokenizer: Tokenizer):
    transcript, _ = write(tokenizer, f"<think>hm</think>{OSLO}", transitions={NORMAL: []})
    assert transcript.choice_so_far().text == f"<think>hm</think>{OSLO}"


BROKEN = "<tool_call>not json END more</tool_call>"


@pytest.mark.parametrize(
    "text", [f"Hi {BROKEN} tail", f"Hi {BROKEN}", f"Hi {BROKEN}{OSLO}", "Hi <tool_call>not json END more"]
)
def test_a_stop_text_in_a_call_that_cannot_be_read_ends_the_answer(tokenizer: Tokenizer, text: str):
    """What the caller gets of such a call is text."""
    transcript, pieces = write(tokenizer, text, stop=["END"], transitions=TOOLS)
    answer = transcript.choice_so_far()
    assert (answer.text, answer.tool_calls) == ("Hi <tool_call>not json ", ())
    assert (answer.finish_reason, answer.stop, pieces[-1].stop) == ("stop", "END", "END")


@pytest.mark.parametrize("behind", ["", " tail", f" {BROKEN}"])
def test_a_call_that_cannot_be_read_is_whole_where_no_stop_text_is_in_it(tokenizer: Tokenizer, behind: str):
    transcript, _ = write(tokenizer, "Hi " + BROKEN + behind, stop=["</tool_call> EN"], transitions=TOOLS)
    assert transcript.choice_so_far().text.startswith("Hi " + BROKEN)
    assert transcript.choice_so_far().stop is None


def test_another_worker_stops_in_a_call_that_cannot_be_read(tokenizer: Tokenizer):
    output_format = output_format_of(tokenizer, TOOLS, stop=["END"])
    full, pieces = write_ids(output_format, tokenizer.encode(f"Hi {BROKEN} tail").ids)
    replayed = Transcript(output_format)
    replayed.replay(pieces)
    assert replayed.choice_so_far() == full.choice_so_far()
