from contextlib import closing

import numpy as np
import pypdfium2 as pdfium
import pytest

from ingest.documents.page import Bookmark, Heading
from ingest.documents.pdf.outline import page_label, read_outline
from ingest.documents.pdf.page_text import read_text, read_words, with_fields
from tests.support.documents.pdf_files import PdfPages, text_at

LEFT = [
    "the first column begins here and",
    "goes on with more words of its",
    "own text until it ends at last",
]
RIGHT = ["and the second column has other", "words that must not be mixed in", "with those of the first one"]


def text_of(pages: PdfPages, number: int = 1) -> str | None:
    with closing(pdfium.PdfDocument(pages.file())) as pdf:
        return read_text(pdf[number - 1]).text


def test_lines_drawn_in_any_order_are_read_from_top_to_bottom():
    drawn = [3, 1, 0, 2]
    content = "".join(text_at(50, 700 - 14 * i, f"line {i}") for i in drawn)

    assert text_of(PdfPages().page(content)) == "line 0\nline 1\nline 2\nline 3"


def test_columns_drawn_line_by_line_are_read_one_after_the_other():
    rows = "".join(
        text_at(50, 700 - 14 * i, left) + text_at(320, 700 - 14 * i, right)
        for i, (left, right) in enumerate(zip(LEFT, RIGHT, strict=True))
    )
    above = text_at(50, 740, "A title that reaches across the gutter of the two columns", 16)
    below = text_at(
        50, 640, "And a line below them that is as wide as the page and so ends both of the columns"
    )

    assert text_of(PdfPages().page(below + rows + above)) == "\n\n".join(
        [
            "A title that reaches across the gutter of the two columns",
            "\n".join(LEFT),
            "\n".join(RIGHT),
            "And a line below them that is as wide as the page and so ends both of the columns",
        ]
    )


def test_a_table_is_read_row_by_row():
    cells = [["name", "mass", "moons"], ["Earth", "5.97", "1"], ["Mars", "0.64", "2"], ["Venus", "4.87", "0"]]
    content = "".join(
        text_at(50 + 150 * column, 700 - 14 * row, cells[row][column])
        for column in range(3)
        for row in range(4)
    )

    assert text_of(PdfPages().page(content)) == "\n".join(" ".join(row) for row in cells)


def test_a_word_hyphenated_at_a_lines_end_is_one_word():
    content = text_at(50, 700, "an exam-") + text_at(50, 686, "ple of S-") + text_at(50, 672, "PLUS")

    assert text_of(PdfPages().page(content)) == "an example of S-PLUS"


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_lines_of_a_turned_page_are_read_as_it_is_shown(rotate: int):
    """The content is turned against the page, as a scanner's is, so that it is upright when it is shown."""
    matrix, places = {
        0: ("1 0 0 1", [(50, 700), (50, 686)]),
        90: ("0 1 -1 0", [(100, 50), (114, 50)]),
        180: ("-1 0 0 -1", [(500, 100), (500, 114)]),
        270: ("0 -1 1 0", [(500, 700), (486, 700)]),
    }[rotate]
    content = "".join(
        text_at(x, y, text, matrix=matrix)
        for (x, y), text in reversed(list(zip(places, ["first line", "second line"], strict=True)))
    )

    assert text_of(PdfPages().page(content, rotate=rotate)) == "first line\nsecond line"


def test_text_off_the_page_or_cropped_away_is_left_out():
    content = (
        text_at(50, 700, "shown")
        + text_at(50, 900, "above")
        + text_at(-90, 500, "left")
        + text_at(50, 20, "cut")
    )

    assert text_of(PdfPages().page(content, crop=(0, 100, 600, 800))) == "shown"


def test_text_without_ink_under_a_scan_is_read():
    assert text_of(PdfPages().page(text_at(50, 700, "recognised words", mode=3))) == "recognised words"


def test_values_of_form_fields_are_text():
    pages = PdfPages().page(text_at(50, 700, "Name:")).field("Ada Lovelace", (100, 695, 300, 715))
    with closing(pdfium.PdfDocument(pages.file())) as pdf:
        pdf.init_forms()
        with closing(pdf[0]) as page, with_fields(pdf, page, 0) as filled_in:
            assert read_text(filled_in).text == "Name: Ada Lovelace"


def test_a_page_whose_fonts_do_not_name_their_letters_has_no_text_and_a_warning():
    codes = "".join(f"/{i} /g{i} " for i in range(1, 30))
    font = (
        "/Type /Font /Subtype /Type1 /BaseFont /Unknown /FirstChar 1 /LastChar 30 /Widths ["
        + "600 " * 30
        + f"] /Encoding << /Type /Encoding /Differences [{codes}] >>"
    )
    content = text_at(50, 700, "\x01\x02\x03\x04\x05\x06\x07\x0e\x0f\x10")
    with closing(pdfium.PdfDocument(PdfPages().page(content).file(font))) as pdf:
        page = read_text(pdf[0])

    assert page.text is None
    assert [warning.kind for warning in page.warnings] == ["unprintable_text"]


def test_a_page_without_text_has_an_empty_one():
    assert text_of(PdfPages().page()) == ""


def test_lines_in_larger_letters_are_headings():
    content = (
        text_at(50, 700, "A heading of", 20)
        + text_at(50, 676, "two lines", 20)
        + text_at(50, 650, "and the text below it, which is longer than the heading is.")
    )
    with closing(pdfium.PdfDocument(PdfPages().page(content).file())) as pdf:
        assert read_text(pdf[0]).headings == (Heading("A heading of two lines", 0),)


def test_bookmarks_are_headings_where_the_page_has_their_title():
    content = (
        text_at(50, 750, "2.1. Colours of text")
        + text_at(50, 700, "colours", 12)
        + text_at(50, 650, "2.2 Shapes", 14)
    )
    with closing(pdfium.PdfDocument(PdfPages().page(content).file())) as pdf:
        page = read_text(pdf[0], [Bookmark("2.1 Colours of Text", 1, 1), Bookmark("2.2 Shapes", 1, 2)])

    assert page.text is not None
    assert page.headings == (
        Heading("2.1 Colours of Text", 0, level=1),
        Heading("2.2 Shapes", page.text.index("2.2"), level=2),
    )


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("matrix", ["1 0 0 1", "0 1 -1 0", "-1 0 0 -1", "0 -1 1 0"])
def test_the_box_of_a_word_is_where_its_ink_is(rotate: int, matrix: str):
    pages = PdfPages().page(
        text_at(300, 500, "HHHHHH", 30, matrix=matrix),
        media=(50, 100, 650, 900),
        crop=(60, 200, 600, 900),
        rotate=rotate,
    )
    with closing(pdfium.PdfDocument(pages.file())) as pdf:
        (word,) = read_words(pdf[0])
        shown = np.asarray(pdf[0].render(scale=1).to_numpy())[..., 0] < 128
    rows, columns = np.nonzero(shown)
    height, width = shown.shape

    ink = np.array([columns.min() / width, rows.min() / height, columns.max() / width, rows.max() / height])
    box = np.array([word.left, word.top, word.right, word.bottom])
    assert np.abs(ink - box).max() < 0.03
    assert (word.text, word.start) == ("HHHHHH", 0)


def test_words_say_where_in_the_text_they_are():
    content = (
        text_at(50, 686, "the second exam-") + text_at(50, 672, "ple here") + text_at(50, 700, "one line and")
    )
    with closing(pdfium.PdfDocument(PdfPages().page(content).file())) as pdf:
        words, text = read_words(pdf[0]), read_text(pdf[0]).text

    assert text == "one line and\nthe second example here"
    places = [(word.start, text[word.start :].split()[0]) for word in words]
    assert [word for _, word in places] == ["one", "line", "and", "the", "second", "example", "ple", "here"]


def test_bookmarks_lead_to_pages_and_pages_have_the_names_that_the_document_gives_them():
    pages = PdfPages().page().page().page().bookmark("Größe\u3000文", 2).bookmark("End", 3)
    pages.labels({0: "/S /r", 1: "/S /D /P (A-)"})
    with closing(pdfium.PdfDocument(pages.file())) as pdf:
        assert [(each.title, each.page, each.level) for each in read_outline(pdf)] == [
            ("Größe 文", 2, 0),
            ("End", 3, 0),
        ]
        assert [page_label(pdf, index) for index in range(3)] == ["i", "A-1", "A-2"]


def test_a_page_without_a_name_is_called_by_its_number():
    with closing(pdfium.PdfDocument(PdfPages().page().page().file())) as pdf:
        assert page_label(pdf, 1) == "2"
