"""Marks and heatmaps lie where the words are: on the pixels of the screen, on pages that are not square."""

import numpy as np
import pytest

from jobs.search.documents import PageWord
from tests.integration.ui.conftest import Shown
from tests.integration.ui.pixels import Sheet, darkness, redness, sheet_of, yellowness
from tests.support.console.drawn_collections import DrawnDocument
from tests.support.console.drawn_pages import DrawnPage, Line

TALL = DrawnPage(
    400, 1000, (Line("alpha", 20, 20, 40), Line("beta", 280, 700, 40), Line("gamma", 120, 420, 40))
)
WIDE = DrawnPage(
    1000, 400, (Line("alpha", 30, 20, 40), Line("beta", 860, 330, 40), Line("gamma", 400, 60, 40))
)
PAGES = {"tall": TALL, "wide": WIDE}


def open_page(shown: Shown, page: DrawnPage, query: str, more: str = "") -> Sheet:
    """All of the page is in sight."""
    document = DrawnDocument(("/docs/known.pdf",), (page,))
    shown.collections.documents[:] = [document]
    shown.browser.show_as(1280 if page is WIDE else 700, 2600)
    shown.open(f"/ui/page/documents/{document.id}/1?q={query}{more}")
    return sheet_of(shown.browser)


def words_of(page: DrawnPage) -> dict[str, PageWord]:
    return {each.text: each for each in page.words()}


@pytest.mark.parametrize("name", PAGES)
def test_marks_lie_on_their_words_and_nowhere_else(shown: Shown, name: str):
    page = PAGES[name]
    words = words_of(page)

    sheet = open_page(shown, page, "alpha+beta")

    for text, word in words.items():
        part = sheet.part(word)
        assert (darkness(part) > 150).mean() > 0.05, text  # there is ink: the page itself lies right
        assert ((yellowness(part) > 100).mean() > 0.4) == (text in ("alpha", "beta")), text
    marked = yellowness(sheet.pixels) > 100
    boxes = sum(
        (each.right - each.left) * (each.bottom - each.top) for each in (words["alpha"], words["beta"])
    )
    assert marked.mean() < 1.2 * boxes


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_heat_is_where_the_chosen_word_is(shown: Shown, name: str, number: int):
    page = PAGES[name]
    chosen = ["alpha", "beta", "gamma"][number]

    sheet = open_page(shown, page, "alpha+beta+gamma", f"&heat={number}")

    hottest = {text: redness(sheet.part(word)).mean() for text, word in words_of(page).items()}
    assert max(hottest, key=lambda text: hottest[text]) == chosen
    assert hottest[chosen] > 60
    assert all(value < 10 for text, value in hottest.items() if text != chosen)
    hot = (redness(sheet.pixels) > 40) & (sheet.pixels[..., 0] > 200)  # the frames of words are darker
    rows, columns = np.nonzero(hot)
    word = words_of(page)[chosen]
    height, width, _ = sheet.pixels.shape
    # A patch is hot where it has any of the word, so the heat is a patch larger than the word.
    assert columns.mean() / width == pytest.approx((word.left + word.right) / 2, abs=0.05)
    assert rows.mean() / height == pytest.approx((word.top + word.bottom) / 2, abs=0.05)


def test_marks_and_heat_stay_on_their_words_when_the_page_is_zoomed(shown: Shown):
    open_page(shown, WIDE, "alpha", "&heat=all")
    shown.browser.show_as(1280, 900)

    shown.browser.press("-")
    sheet = sheet_of(shown.browser)

    assert shown.browser.evaluate("document.getElementById('sheet').className") == "sheet zoom-50"
    word = words_of(WIDE)["alpha"]
    assert redness(sheet.part(word)).mean() > 60
    assert redness(sheet.part(words_of(WIDE)["beta"])).mean() < 10


def test_a_page_that_is_zoomed_in_keeps_the_place_in_the_middle_and_becomes_sharper(shown: Shown):
    open_page(shown, TALL, "gamma")
    browser = shown.browser
    browser.show_as(1280, 900)
    scroller = "document.querySelector('.scroller')"
    where = f"({scroller}.scrollTop + {scroller}.clientHeight / 2) / {scroller}.scrollHeight"
    before = browser.evaluate(where)

    browser.press("+")
    browser.press("+")
    browser.settle()

    assert browser.evaluate(where) == pytest.approx(before, abs=0.02)
    assert browser.evaluate("document.getElementById('page-image').naturalWidth") > 1500
    assert browser.evaluate("location.search").endswith("zoom=200")
