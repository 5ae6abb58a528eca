import pytest

from ingest.text.bm25 import document_vector, query_vector


def score(query: str, document: str) -> float:
    weights = dict(zip(*document_vector(document), strict=True))
    indices, values = query_vector(query)
    return sum(value * weights.get(index, 0.0) for index, value in zip(indices, values, strict=True))


def test_indices_are_in_order_and_each_there_once():
    for vector in (document_vector("b a b c a"), query_vector("b a b c a")):
        assert vector.indices == sorted(set(vector.indices))
        assert len(vector.values) == 3
        assert all(0 <= index < 2**32 for index in vector.indices)


def test_the_weight_is_that_of_bm25():
    (value,) = document_vector("word " * 10).values

    assert value == pytest.approx(10 * 2.2 / (10 + 1.2 * (1 - 0.75 + 0.75 * 10 / 150)))


def test_a_word_counts_more_the_more_often_it_is_there_and_the_shorter_the_text():
    assert 0 < score("fox", "fox " + "other " * 50) < score("fox", "fox fox " + "other " * 49)
    assert score("fox", "fox " + "other " * 200) < score("fox", "fox " + "other " * 20)


def test_a_text_without_words_has_an_empty_vector():
    assert document_vector(" … ") == query_vector("") == ([], [])


def test_vectors_are_the_same_in_every_process_and_version():
    assert query_vector("Debian 文書") == ([1940966732, 2776088947], [1.0, 1.0])
