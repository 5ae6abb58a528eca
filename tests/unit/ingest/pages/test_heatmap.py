"""Which of a query's vectors are which word's."""

import numpy as np
import pytest

from ingest.pages.heatmap import parts_of, probes
from tests.support.vectors.word_queue import BEFORE, BEHIND, query_rows


def parted(text: str) -> list[tuple[str, slice]]:
    words = text.split()
    return parts_of(words, query_rows(text), [query_rows(each) for each in probes(words)])


@pytest.mark.parametrize("text", ["fox", "a remarkable fox", "xylophones x x", "x"])
def test_each_word_has_the_vectors_of_its_tokens(text: str):
    parts = parted(text)
    assert [word for word, _ in parts] == text.split()
    at = len(BEFORE)
    for word, own in parts:
        assert own == slice(at, at + (2 if len(word) > 6 else 1))
        at = own.stop
    assert at == len(query_rows(text)) - len(BEHIND)


def test_where_a_model_mixes_all_tokens_each_vector_stands_for_itself():
    """All vectors depend on all words, and short queries are filled up to one length."""

    def rows(text: str) -> np.ndarray:
        return np.random.default_rng(len(text)).normal(size=(8, 4)).astype(np.float32)

    words = ["two", "words"]
    parts = parts_of(words, rows("two words"), [rows(each) for each in probes(words)])
    assert parts == [("", slice(at, at + 1)) for at in range(8)]
