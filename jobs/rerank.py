"""Reranking: how well each of some documents answers a query."""

import msgspec

from jobs.content import ImagePart, TextPart

Passage = str | tuple[TextPart | ImagePart, ...]
"""A text, or texts and images in the order they are read."""


class RerankJob(msgspec.Struct, frozen=True, omit_defaults=True, tag="rerank", tag_field="task"):
    """Score every document against the query."""

    model: str
    query: Passage
    documents: tuple[Passage, ...]
    truncate: bool = False
    """An overlong document is cut at its end; otherwise it is an error. The query is never cut."""
    instruction: str | None = None
    """What counts as an answer, for models that take an instruction. None: the model's own."""
    raw_scores: bool = False
    """The model's logits, not what its card makes of them (probabilities, most often)."""


class RerankResult(msgspec.Struct, frozen=True, tag="rerank_result", omit_defaults=True):
    """One score per document, in the documents' order; the higher, the better."""

    scores: bytes
    """Float32, little-endian, shape (documents,)."""
    tokens: tuple[int, ...]
    """Tokens the model read for each document, query and template included."""
