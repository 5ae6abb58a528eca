"""What a multi-vector model of texts alone reads, as PyLate has it: a marker token behind the first one says what the
text is, short queries are filled up, and punctuation in documents gets no vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from jobs.content import MixedInput
from jobs.embed import PatchGrid, Truncate
from jobs.errors import InvalidInput
from workers.runners.tokens.tokenizer import Ids, ModelTokenizer

Kept = slice | NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class TextItem:
    """One text as the model reads it."""

    ids: Ids
    """All tokens, int32."""
    attended: int
    """How many of them, from the first on, tokens attend to. Those that only fill up a query come after."""
    kept: Kept
    """Which tokens' vectors are returned."""

    @property
    def length(self) -> int:
        return len(self.ids)

    @property
    def grids(self) -> tuple[PatchGrid, ...]:
        return ()


class ColbertFormat(NamedTuple):
    """How a model tells queries from documents: token ids and lengths."""

    query: int | None
    """Stands behind the first token of a query; None for nothing."""
    document: int | None
    """Likewise, of a document."""
    filling: int
    """What short queries are filled up with."""
    query_length: int
    """Tokens that queries are filled up to; 0 for no filling."""
    attends_filling: bool
    """Whether tokens attend to the filling."""
    skipped: Sequence[int]
    """Tokens of documents that get no vector."""


class TextPrompts:
    """Any thread may use it."""

    def __init__(self, tokenizer: ModelTokenizer, colbert_format: ColbertFormat, max_tokens: int) -> None:
        """tokenizer: with a limit that leaves room for the marker token."""
        self._tokenizer = tokenizer
        self._format = colbert_format
        self._max_tokens = max_tokens
        self._skipped = np.asarray(colbert_format.skipped, dtype=np.int32)

    @property
    def text_tokenizer(self) -> Tokenizer:
        return self._tokenizer.backend

    def text(
        self,
        value: str | tuple[int, ...],
        *,
        is_query: bool,
        truncate: Truncate,
        max_tokens: int | None = None,
    ) -> TextItem:
        """max_tokens: as in EmbedJob, the marker and the filling of a query not counted. Raises InvalidInput."""
        tokenizer = self._tokenizer.limited(max_tokens)
        ids = _read(tokenizer, value, truncate)
        if len(ids) > tokenizer.max_tokens:
            ids = tokenizer.cut(ids, 0, truncate)
        marker = self._format.query if is_query else self._format.document
        if marker is not None:
            ids = np.insert(ids, min(1, len(ids)), marker)
        if len(ids) == 0:
            raise InvalidInput("the text is empty, and this model reads nothing of it.", param="input")
        if not is_query:
            return TextItem(ids, len(ids), np.flatnonzero(~np.isin(ids, self._skipped)))
        filled = self._filled(ids)
        attended = len(filled if self._format.attends_filling else ids)
        return TextItem(filled, attended, slice(len(filled)))

    def mixed(self, value: MixedInput) -> TextItem:
        """Raises InvalidInput: the model has no vision tower."""
        raise InvalidInput("this model reads texts, and no images.", param="input")

    def _filled(self, ids: Ids) -> Ids:
        missing = min(self._format.query_length, self._max_tokens) - len(ids)
        if missing <= 0:
            return ids
        return np.concatenate((ids, np.full(missing, self._format.filling, dtype=np.int32)))


def _read(tokenizer: ModelTokenizer, value: str | tuple[int, ...], truncate: Truncate) -> Ids:
    if isinstance(value, str):  # stripped, as the texts of training were
        return next(tokenizer.encode([tokenizer.shortened(value.strip(), truncate)]))
    return tokenizer.wrap(tokenizer.shortened_ids(value, truncate), "")[0]
