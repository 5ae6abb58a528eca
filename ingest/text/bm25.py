"""BM25 as sparse vectors: the store counts in how many points a word is (its modifier "idf"), the rest is here.

The score of a chunk is the product of both vectors, each word times log(1 + (N - n + 0.5) / (n + 0.5)), N the number of
points and n of those that have the word: Robertson and Zaragoza, The Probabilistic Relevance Framework (2009).
"""

from collections import Counter
from typing import NamedTuple
from zlib import crc32

from ingest.text.terms import document_terms, query_terms

K = 1.2
"""How soon more of the same word adds nothing."""
B = 0.75
"""How much longer texts count less: from 0 to 1."""
AVERAGE_TERMS = 150
"""Of a chunk, whatever the collection: a chunk's vector does not depend on other chunks."""


class SparseVector(NamedTuple):
    """Weights of words."""

    indices: list[int]
    """A word's checksum, below 2^32; each once, in ascending order."""
    values: list[float]


def document_vector(text: str) -> SparseVector:
    """Of a chunk (`titled`). Empty where it has no words."""
    counts = Counter(_index(term.text) for term in document_terms(text))
    norm = K * (1 - B + B * counts.total() / AVERAGE_TERMS)
    indices = sorted(counts)
    return SparseVector(indices, [counts[index] * (K + 1) / (counts[index] + norm) for index in indices])


def query_vector(text: str) -> SparseVector:
    """Of a query: each of its words once. Empty where it has none."""
    indices = sorted({_index(term.text) for term in query_terms(text)})
    return SparseVector(indices, [1.0] * len(indices))


def _index(term: str) -> int:
    return crc32(term.encode())
