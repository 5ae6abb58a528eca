import pytest

from ingest.text.snippet import ELLIPSIS, Snippet, snippet


def shown(found: Snippet) -> list[str]:
    return [found.text[start:end] for start, end in found.matches]


def test_the_snippet_is_where_most_of_the_querys_words_are():
    text = (
        "A csv once. " + "Nothing here. " * 40 + "To read csv files call read.csv. " + "Nothing there. " * 40
    )

    found = snippet(text, "How do I read a csv file?")

    assert shown(found) == ["read", "csv", "files", "read", "csv"]
    assert len(found.text) <= 242
    assert found.text[0] == found.text[-1] == ELLIPSIS
    assert found.text[1:].startswith("Nothing here.")


def test_a_short_text_is_shown_as_one_line():
    assert snippet("one\n\ntwo  Words\t", "word") == ("one two Words", ((8, 13),))


def test_a_text_without_the_querys_words_is_shown_from_its_beginning():
    found = snippet("beginning " * 100, "zebra")

    assert found.text.startswith("beginning beginning")
    assert found.text.endswith("beginning" + ELLIPSIS)
    assert found.matches == ()


def test_common_words_are_not_shown_unless_there_are_no_others():
    assert shown(snippet("the zebra and the lion", "the zebra")) == ["zebra"]
    assert shown(snippet("to be or not", "not to be")) == ["to", "be", "not"]


def test_neighbouring_pairs_of_characters_are_one_match():
    found = snippet("これは日本語の文書です。" * 30 + "東京都庁の検索。" + "そのあと。" * 100, "東京都庁")

    assert shown(found) == ["東京都庁"]
    assert len(found.text) <= 242


@pytest.mark.parametrize("length", [10, 40, 240])
@pytest.mark.parametrize(
    "text", ["x" * 5_000, "ab " * 2_000, "公開鍵" * 1_000, "", "a" * 239 + " needle in it", "needle" * 90]
)
def test_a_snippet_is_never_longer_than_asked(text: str, length: int):
    found = snippet(text, "needle ab 公開", length)

    assert len(found.text) <= length + 2
    assert all(0 <= start < end <= len(found.text) for start, end in found.matches)
