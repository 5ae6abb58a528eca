"""What tells that a body is Voyage AI's: its Python client names itself in no header (0.5.0 removes them all)."""

from typing import Any

import msgspec
from msgspec import UNSET


class VoyageEmbeddingMarks(msgspec.Struct, frozen=True, kw_only=True):
    """The field of Voyage's embeddings that OpenAI's have not, and that its client always sends."""

    truncation: Any = UNSET


_NAME = b'"truncation"'
_decoder = msgspec.json.Decoder(VoyageEmbeddingMarks)


def is_voyage_embedding(raw: bytes) -> bool:
    """Whether the body of /v1/embeddings is Voyage's. What is no JSON is nobody's."""
    if _NAME not in raw:  # the usual case, for which nothing is decoded twice
        return False
    try:
        return _decoder.decode(raw).truncation is not UNSET
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
