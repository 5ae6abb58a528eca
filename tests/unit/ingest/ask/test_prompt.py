"""What a model is shown of the pages, and what its answer cites."""

from ingest.ask.prompt import RULES, Shown, chat, fitting
from jobs.content import ImagePart, TextPart
from jobs.search.citations import cited
from jobs.search.question import NOT_FOUND, Source


def source(number: int = 1, **fields: str) -> Source:
    return Source(number=number, collection="docs", document="d", path="/docs/queue.pdf", page=4, **fields)


def test_the_sources_come_numbered_before_the_question():
    prompt = chat("How long?", [Shown(source(), "Ten seconds."), Shown(source(2, label="iv"), image=b"PNG")])

    rules, asked = prompt.messages
    assert rules.role == "system" and rules.content == (TextPart(RULES),) and NOT_FOUND in RULES
    assert asked.content == (
        TextPart("[1] queue.pdf, page 4:\nTen seconds.\n\n"),
        TextPart("[2] queue.pdf, page 4 (iv):\n\n\n"),
        ImagePart(b"PNG"),
        TextPart("Question: How long?"),
    )


def test_what_does_not_fit_is_left_out_and_counted():
    shown = [Shown(source(n), "x" * 10) for n in (1, 2, 3)]

    kept, left_out = fitting(shown, 25, image_characters=0)

    assert [each.source.number for each in kept] == [1, 2] and left_out == 1


def test_a_first_source_that_is_too_long_is_cut():
    ((only,), left_out) = fitting([Shown(source(), "x" * 10)], 4, image_characters=0)

    assert only.text == "xxxx" and left_out == 0


def test_citations_stand_in_the_order_of_the_answer_and_once():
    sources = [source(n) for n in (1, 2, 3)]

    found = cited("First [3], then [1, 3] and [2;9]. Not [x] nor [].", sources)

    assert [each.number for each in found] == [3, 1, 2]


def test_an_answer_may_cite_nothing():
    assert cited(NOT_FOUND, [source()]) == ()
