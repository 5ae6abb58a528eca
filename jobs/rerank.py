"""Reranking: how well each of some documents answers a query."""

import msgspec

from jobs.generation import ImagePart, TextPart

Passage = str | tuple[TextPart | ImagePart, ...]
"""A text, or texts and pictures in the order they are read."""


class RerankJob(msgspec.Struct, frozen=True, tag="rerank", tag_field="task"):
    """Score every document against the query.

    truncate: an overlong document is cut at its end; otherwise it is an error. The query is never cut.
    instruction: what counts as an answer, for models that are told; None: the model's own.
    raw_scores: the model's logits, not what its card makes of them (probabilities, most often).
    """

    model: str
    query: Passage
    documents: tuple[Passage, ...]
    truncate: bool = False
    instruction: str | None = None
    raw_scores: bool = False


class RerankResult(msgspec.Struct, frozen=True, tag="rerank_result"):
    """One score per document, in the documents' order; the higher, the better.

    scores: float32, little-endian, shape (documents,).
    tokens: tokens the model read for each document, query and template included.
    """

    scores: bytes
    tokens: tuple[int, ...]
