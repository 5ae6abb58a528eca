"""Tokens become text, reasoning and tool calls; stop texts and half characters never show."""

import json
from collections.abc import Sequence

import pytest
from tokenizers import Tokenizer, models

from jobs.generate import Choice, Piece
from tests.support.fake_generator import byte_tokenizer
from tests.support.transcripts import TOOLS, output_format_of, write
from workers.runners.generate.output.segments import REASONING
from workers.runners.generate.output.transcript import Transcript


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return byte_tokenizer()


def whole(transcript: Transcript) -> Choice:
    return transcript.choice_so_far()


def test_pieces_put_together_are_the_answer(tokenizer: Tokenizer):
    transcript, pieces = write(tokenizer, "Grüße, 世界 😀!")
    assert "".join(piece.text for piece in pieces) == "Grüße, 世界 😀!" == whole(transcript).text
    assert sum(len(piece.tokens) for piece in pieces) == whole(transcript).tokens
    assert [piece.finish_reason for piece in pieces[-2:]] == [None, "stop"]


def test_no_piece_holds_half_a_character(tokenizer: Tokenizer):
    _, pieces = write(tokenizer, "a😀b")
    assert [piece.text for piece in pieces if piece.text] == ["a", "😀", "b"]


def test_a_character_cut_off_by_the_length_is_marked_as_such(tokenizer: Tokenizer):
    output_format = output_format_of(tokenizer)
    transcript = Transcript(output_format)
    first, second = tokenizer.encode("é").ids
    transcript.add(first, "length")
    transcript.take()
    assert whole(transcript).text == "\ufffd"
    assert second


@pytest.mark.parametrize("stop", ["END", "N", "\n\n", "DEN"])
def test_a_stop_text_across_tokens_ends_the_answer_and_never_shows(tokenizer: Tokenizer, stop: str):
    transcript, pieces = write(tokenizer, f"one EN two{stop} three", stop=[stop])
    expected = "one EN two".partition(stop)[0] if stop in "one EN two" else "one EN two"
    assert whole(transcript).text == expected
    assert whole(transcript).finish_reason == "stop"
    assert all(stop not in "".join(piece.text for piece in pieces[:n]) for n in range(len(pieces) + 1))


@pytest.mark.parametrize(
    ("text", "stops", "ended_by"),
    [
        ("one END two", ["two", "END"], "END"),
        ("one END two", ["N", "END"], "N"),
        ("one END two", ["ND", "END", "D"], "END"),
        ("<think>END</think>one END", ["END"], "END"),
        ("one two", ["END"], None),
    ],
)
def test_an_answer_and_its_last_piece_tell_which_stop_text_ended_it(
    tokenizer: Tokenizer, text: str, stops: Sequence[str], ended_by: str | None
):
    transcript, pieces = write(tokenizer, text, stop=stops, transitions=TOOLS)
    assert (whole(transcript).finish_reason, whole(transcript).stop) == ("stop", ended_by)
    assert [piece.stop for piece in pieces] == [None] * (len(pieces) - 1) + [ended_by]


def test_a_stop_text_behind_markers_in_the_same_breath_is_told_as_it_is():
    whole_words = Tokenizer(models.WordLevel({"one<think>N</think>N more": 0, "and more": 1}, "and more"))
    transcript = Transcript(output_format_of(whole_words, TOOLS, stop=["k>N", "N"]))
    transcript.add(0)
    transcript.add(1)
    piece = transcript.take()
    assert piece == Piece(text="one", reasoning="N", tokens=(0,), finish_reason="stop", stop="N")
    assert transcript.take() is None


def test_the_length_is_no_stop_text(tokenizer: Tokenizer):
    transcript, _ = write(tokenizer, "one two", stop=["END"], end=False)
    assert (whole(transcript).finish_reason, whole(transcript).stop) == ("length", None)


def test_a_stop_text_that_shows_only_at_the_end_ends_the_answer_all_the_same(tokenizer: Tokenizer):
    output_format = output_format_of(tokenizer, stop=["\ufffd"])
    transcript = Transcript(output_format)
    transcript.add(tokenizer.encode("é").ids[0], "length")
    transcript.take()
    answer = whole(transcript)
    assert (answer.text, answer.finish_reason, answer.stop) == ("", "stop", "\ufffd")


def test_what_only_looked_like_a_stop_text_is_given_out(tokenizer: Tokenizer):
    transcript, _ = write(tokenizer, "to be ST", stop=["STOP"])
    assert whole(transcript).text == "to be ST"


def test_tokens_after_the_end_change_nothing(tokenizer: Tokenizer):
    transcript, _ = write(tokenizer, "one.two", stop=["."])
    before = whole(transcript)
    transcript.add(5)
    assert transcript.take() is None
    assert whole(transcript) == before


def test_reasoning_is_told_apart_from_the_answer(tokenizer: Tokenizer):
    transcript, pieces = write(tokenizer, "<think>7+5=12</think>\n\nTwelve.", transitions=TOOLS)
    assert whole(transcript).reasoning == "7+5=12"
    assert whole(transcript).text == "Twelve."
    assert not any("<" in piece.text + piece.reasoning for piece in pieces)


def test_an_answer_that_begins_in_its_reasoning_needs_no_opening_mark(tokenizer: Tokenizer):
    transcript, _ = write(tokenizer, "hm</think> Yes", transitions=TOOLS, initial=REASONING)
    assert (whole(transcript).reasoning, whole(transcript).text) == ("hm", "Yes")


def test_tool_calls_are_read_and_are_no_text(tokenizer: Tokenizer):
    calls = [{"name": "get_weather", "arguments": {"city": city}} for city in ("Oslo", "Rome")]
    text = "\n".join(f"<tool_call>{json.dumps(call)}</tool_call>" for call in calls)
    transcript, _ = write(tokenizer, text, transitions=TOOLS)
    answer = whole(transcript)
    assert [(call.name, json.loads(call.arguments)) for call in answer.tool_calls] == [
        ("get_weather", {"city": "Oslo"}),
        ("get_weather", {"city": "Rome"}),
    ]
    assert answer.text == ""
    assert answer.finish_reason == "tool_calls"
    assert len({call.id for call in answer.tool_calls}) == 2


def test_without_parallel_calls_the_answer_ends_with_the_first(tokenizer: Tokenizer):
    call = '<tool_call>{"name": "f", "arguments": {}}</tool_call>'
    transcript, _ = write(tokenizer, call + call, transitions=TOOLS, one_call=True)
    assert len(whole(transcript).tool_calls) == 1
    assert whole(transcript).finish_reason == "tool_calls"


@pytest.mark.parametrize("text", ["<tool_call>no json</tool_call>", "<tool_call>[1]</tool_call>"])
def test_a_tool_call_that_cannot_be_read_is_given_back_as_text(tokenizer: Tokenizer, text: str):
    transcript, _ = write(tokenizer, text, transitions=TOOLS)
    assert whole(transcript).text == text
    assert whole(transcript).finish_reason == "stop"


def test_another_worker_goes_on_where_the_first_one_stopped(tokenizer: Tokenizer):
    text = "<think>a😀b</think> The end. STO no. STOP more"
    full, _ = write(tokenizer, text, stop=["STOP"], transitions=TOOLS)
    ids = tokenizer.encode(text).ids
    for cut in range(len(ids) + 1):
        output_format = output_format_of(tokenizer, TOOLS, stop=["STOP"])
        first, second = Transcript(output_format), Transcript(output_format)
        published: list[Piece] = []
        for token in ids[:cut]:
            first.add(token)
            if piece := first.take():
                published.append(piece)
        second.replay(published)
        for token in ids[len(second.tokens) :]:
            second.add(token)
            second.take()
        assert (whole(second).finish_reason, whole(second).stop) == ("stop", "STOP")
        assert whole(second).text == whole(full).text
        assert whole(second).reasoning == whole(full).reasoning


def test_a_long_silence_still_yields_pieces(tokenizer: Tokenizer):
    _, pieces = write(tokenizer, "<tool_call>" + "x" * 100, transitions=TOOLS, end=False)
    assert len(pieces) > 4
    assert not any(piece.text for piece in pieces[:-1])
