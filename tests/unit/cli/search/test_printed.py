"""What people see of a search."""

import unicodedata
from pathlib import Path

import pytest

from cli.search.printed import WIDTH, printed, wrapped
from jobs.search.reply import DocumentHits, SearchHit, SearchReply, Timing

PROSE = "A lease is renewed while its worker makes progress, and ends with it. " * 4


def hit(**fields: object) -> SearchHit:
    given: dict[str, object] = {
        "collection": "documents",
        "document": "d1",
        "paths": ("/docs/queue.pdf",),
        "page": 12,
        "kinds": ("text",),
        "score": 0.81234,
        "point": "p1",
    }
    return SearchHit(**{**given, **fields})  # pyright: ignore[reportArgumentType]


def lines(reply: SearchReply) -> list[str]:
    return list(printed(reply, lambda text: f"<{text}>"))


def test_a_hit_is_told_with_path_page_label_score_headings_and_the_matching_words():
    found = hit(label="iv", heading="Queue > Leases", snippet="A lease lasts.", matches=((2, 7),))
    shown = lines(SearchReply(hits=(found,), timings=(Timing("embed", 11.6), Timing("search", 4.2))))
    assert shown == [
        " 1 </docs/queue.pdf:12> (iv)  0.812",
        "   Queue > Leases",
        "   A <lease> lasts.",
        "",
        "1 hits (embed 12 ms, search 4 ms)",
    ]


def test_a_label_that_says_no_more_than_the_number_is_left_out_and_images_are_told():
    shown = lines(SearchReply(hits=(hit(label="12", kinds=("visual",)),)))
    assert shown[0] == " 1 </docs/queue.pdf:12>  0.812  image"


def test_grouped_pages_lie_under_their_document():
    group = DocumentHits("d1", ("/docs/queue.pdf",), 0.8, (hit(snippet="one"), hit(page=3, snippet="two")))
    shown = lines(SearchReply(groups=(group,)))
    assert shown[:5] == [
        " 1 </docs/queue.pdf>",
        "   page 12  0.812",
        "      one",
        "   page 3  0.812",
        "      two",
    ]


def test_the_home_folder_is_a_tilde(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert Path.home() == Path("/home/me")
    shown = lines(SearchReply(hits=(hit(paths=("/home/me/a.pdf",)), hit(paths=("/home/men/a.pdf",)))))
    assert shown[0].startswith(" 1 <~/a.pdf:12>")
    assert shown[2].startswith(" 2 </home/men/a.pdf:12>")


def test_nothing_found_is_said():
    assert lines(SearchReply(timings=(Timing("search", 4),))) == ["Nothing was found (search 4 ms)."]


@pytest.mark.parametrize("text", [PROSE, "x" * 200, "機械学習は計算機科学の一分野である。" * 9, "", " a  b "])
def test_no_line_is_wider_than_a_terminal_and_no_character_is_lost(text: str):
    parts = wrapped(text, 77)
    for part in parts:
        assert sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text[part]) <= 77
    assert "".join(text[part] for part in parts).replace(" ", "") == text.replace(" ", "")


def test_a_match_over_two_lines_is_bold_in_both():
    snippet = PROSE.strip()
    start = wrapped(snippet, WIDTH - 3)[1].start
    shown = lines(SearchReply(hits=(hit(snippet=snippet, matches=((start - 5, start + 4),)),)))
    assert [line.count("<") for line in shown[1:3]] == [1, 1]
    assert "".join(shown[1:3]).count(">") == 2
