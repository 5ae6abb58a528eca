"""Queries with fewer vectors."""

import numpy as np
import pytest

from ingest.search.query_vectors import merged


def test_the_vectors_that_are_most_alike_are_added_up():
    query = np.array([[1, 0, 0], [0, 1, 0], [0.9, 0.1, 0], [0, 0, 1], [0.8, 0, 0.1]], np.float32)
    found = merged(query, 3)
    assert found == pytest.approx(np.array([[2.7, 0.1, 0.1], [0, 1, 0], [0, 0, 1]]))


def test_a_short_query_stays_as_it_is():
    query = np.eye(3, dtype=np.float32)
    assert merged(query, 3) is query


def test_the_query_itself_is_not_changed():
    query = np.ones((4, 2), np.float32)
    assert merged(query, 1).tolist() == [[4, 4]]
    assert query.tolist() == [[1, 1]] * 4


def test_a_page_as_a_query_is_shortened_quickly_and_scores_nearly_as_before():
    chance = np.random.default_rng(1)
    themes = chance.normal(size=(60, 32))
    near = np.repeat(themes, 12, axis=0) + 0.3 * chance.normal(size=(720, 32))
    query = (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)
    short = merged(query, 128)
    pages = chance.normal(size=(20, 50, 32)).astype(np.float32)
    pages /= np.linalg.norm(pages, axis=2, keepdims=True)
    whole, shorter = ([(each @ page.T).max(axis=1).sum() for page in pages] for each in (query, short))
    assert len(short) == 128
    assert np.corrcoef(whole, shorter)[0, 1] > 0.95
