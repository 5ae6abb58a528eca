from contextlib import closing

import pypdfium2 as pdfium
import pytest

from ingest.documents.pdf.page_text import read_text
from ingest.evaluate.generated.corpus import FACTS_A_PAGE, KINDS, MAX_PAGES, generate


def texts(pdf: bytes) -> list[str]:
    with closing(pdfium.PdfDocument(pdf)) as document:
        return [" ".join((read_text(page).text or "").split()) for page in document]


def test_each_question_is_answered_by_its_page_and_its_place_is_on_others_too():
    corpus = generate(40)
    pages = texts(corpus.pdf)

    assert len(pages) == len(corpus.judged) == 40
    assert {judged.kind for judged in corpus.judged} == set(KINDS)
    for judged in corpus.judged:
        words = judged.query.removeprefix("What is the ").removesuffix("?").replace(" in ", " ").split()
        ((key, grade),) = judged.grades.items()
        assert grade == 1
        assert all(word in pages[key.page - 1] for word in words)
        assert sum(all(word in page for word in words[-1:]) for page in pages) > 1


def test_turned_pages_are_read_and_drawn_upright():
    corpus = generate(4)
    with closing(pdfium.PdfDocument(corpus.pdf)) as document:
        width, height = document[3].get_size()

    assert width > height
    assert texts(corpus.pdf)[3].startswith("In ")


def test_a_table_is_on_its_page_row_by_row():
    assert texts(generate(2).pdf)[1].startswith("Place What Value ")


def test_the_same_seed_makes_the_same_document():
    assert generate(8) == generate(8)
    assert generate(8).pdf != generate(8, seed=1).pdf


@pytest.mark.parametrize("pages", [0, MAX_PAGES + 1])
def test_a_number_of_pages_that_cannot_be_made_is_refused(pages: int):
    assert len(generate(MAX_PAGES).judged) == MAX_PAGES
    assert FACTS_A_PAGE * MAX_PAGES <= 192 * 12
    with pytest.raises(ValueError, match="pages"):
        generate(pages)
