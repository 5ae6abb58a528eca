import pytest

from ingest.text.terms import document_terms, query_terms


def words(text: str) -> list[str]:
    return [term.text for term in query_terms(text)]


@pytest.mark.parametrize(
    ("written", "looked_for"),
    [
        ("Queries", "query"),
        ("files", "File"),
        ("Élèves", "eleves"),
        ("e\u0301te\u0301", "été"),
        ("ＤＥＢＩＡＮ", "debian"),
        ("ﬁle", "file"),
        ("Straße", "STRASSE"),
        ("read.csv", "csv read"),
        ("foo_bar", "bar foo"),
        ("ﾊﾟｯｹｰｼﾞ", "ﾊﾟｯｹｰｼﾞ"),
        ("हिन्दी", "हिन्दी"),
    ],
)
def test_what_is_looked_for_is_found_in_another_spelling(written: str, looked_for: str):
    assert {term.text for term in query_terms(looked_for)} <= {term.text for term in document_terms(written)}


@pytest.mark.parametrize("word", ["class", "bus", "gas", "goes", "R", "C"])
def test_what_is_no_plural_keeps_its_s(word: str):
    assert words(word) == [word.lower()]


def test_text_without_spaces_is_pairs_of_characters():
    assert words("日本語のDebianです") == ["日本", "本語", "語の", "debian", "です"]


def test_a_single_chinese_character_is_found_within_a_text():
    assert words("鍵") == ["鍵"]
    assert "鍵" in {term.text for term in document_terms("公開鍵暗号")}
    assert "ア" not in {term.text for term in document_terms("アプリ")}


@pytest.mark.parametrize(
    "text", ["Élèves of foo_bar, ﬁles", "日本語の文書・ﾊﾟｯｹｰｼﾞ", "हिन्दी भाषा 한국어 ภาษาไทย"]
)
def test_a_term_says_where_it_is(text: str):
    found = list(document_terms(text))

    assert found
    assert all(words(text[term.start : term.end]) == [term.text] for term in found)


def test_punctuation_is_no_word():
    assert words(" -- … 。・「」 _ ") == []
