"""Which ways of searching a query takes."""

import pytest

from ingest.collections.contents import Part
from ingest.collections.fingerprint import Fingerprint
from ingest.search.plan import Step, steps_of, without
from jobs.errors import InvalidInput
from jobs.search.query import Mode, SearchQuery

WORDS, PIXELS = Fingerprint("words", "w"), Fingerprint("pixels", "p")
TEXT = Part("papers", "text", WORDS, 8, 10, "papers-text")
VISUAL = Part("papers", "visual", PIXELS, 8, 10, "papers-visual")
BOTH = {"papers": (VISUAL, TEXT)}


@pytest.mark.parametrize(
    ("mode", "ways"),
    [
        ("auto", ["hybrid", "visual"]),
        ("visual", ["visual"]),
        ("hybrid", ["hybrid"]),
        ("text", ["text"]),
        ("keywords", ["keywords"]),
    ],
)
def test_a_mode_searches_in_its_ways(mode: Mode, ways: list[str]):
    steps = steps_of(SearchQuery("fox", mode=mode), BOTH)
    assert [step.way for step in steps] == ways
    assert all(step.part.kind == ("visual" if step.way == "visual" else "text") for step in steps)


def test_auto_searches_what_each_collection_has():
    notes = Part("notes", "text", WORDS, 8, 10, "notes-text")
    steps = steps_of(SearchQuery("fox"), {"notes": (notes,), "scans": (VISUAL,)})
    assert steps == [Step("hybrid", notes), Step("visual", VISUAL)]


def test_an_image_alone_has_no_keywords():
    steps = steps_of(SearchQuery(image=b"..."), BOTH)
    assert [step.way for step in steps] == ["text", "visual"]
    with pytest.raises(InvalidInput, match="needs words"):
        steps_of(SearchQuery(image=b"...", mode="keywords"), BOTH)


def test_a_mode_that_no_collection_can_serve_is_refused_by_its_name():
    with pytest.raises(InvalidInput, match="no images of pages were ingested") as caught:
        steps_of(SearchQuery("fox", mode="visual"), {"papers": (TEXT,)})
    assert caught.value.param == "mode"


def test_without_its_model_text_is_searched_by_keywords_in_auto_alone():
    expected: dict[Mode, list[str]] = {"auto": ["keywords", "visual"], "hybrid": []}
    for mode, left in expected.items():
        query = SearchQuery("fox", mode=mode)
        steps = without({WORDS.key}, steps_of(query, BOTH), query)
        assert [step.way for step in steps] == left
