"""What a multi-vector model of texts alone reads, as PyLate has it: a mark behind the first token says what the text
is, short queries are filled up, and punctuation in documents gets no vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.content import MixedInput
from jobs.embed import PatchGrid, Truncate
from jobs.errors import InvalidInput
from workers.runners.tokens.tokenizer import Ids, ModelTokenizer

Kept = slice | NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class TextItem:
    """One text as the model reads it. ids: all tokens, int32. attended: how many of them, from the first on, others
    look at; those that fill up a query look on only. kept: whose vectors are handed out.
    """

    ids: Ids
    attended: int
    kept: Kept

    @property
    def length(self) -> int:
        return len(self.ids)

    @property
    def grids(self) -> tuple[PatchGrid, ...]:
        return ()


class Marking(NamedTuple):
    """Token ids and lengths of a model. query, document: what tells them apart, None for nothing. filling: what short
    queries are filled up with. query_length: to how many tokens; 0 for none. attends_filling: whether tokens look at
    it. skipped: tokens of documents that get no vector.
    """

    query: int | None
    document: int | None
    filling: int
    query_length: int
    attends_filling: bool
    skipped: Sequence[int]


class TextPrompts:
    """Any thread may use it."""

    def __init__(self, tokenizer: ModelTokenizer, marking: Marking, max_tokens: int) -> None:
        """tokenizer: with a limit that leaves room for the mark."""
        self._tokenizer = tokenizer
        self._marking = marking
        self._max_tokens = max_tokens
        self._skipped = np.asarray(marking.skipped, dtype=np.int32)

    def text(self, value: str | tuple[int, ...], *, is_query: bool, truncate: Truncate) -> TextItem:
        """Raises InvalidInput."""
        ids = self._read(value, truncate)
        if len(ids) > self._tokenizer.max_tokens:
            ids = self._tokenizer.cut(ids, 0, truncate)
        mark = self._marking.query if is_query else self._marking.document
        if mark is not None:
            ids = np.insert(ids, min(1, len(ids)), mark)
        if len(ids) == 0:
            raise InvalidInput("the text is empty, and this model reads nothing of it.", param="input")
        if not is_query:
            return TextItem(ids, len(ids), np.flatnonzero(~np.isin(ids, self._skipped)))
        filled = self._filled(ids)
        attended = len(filled if self._marking.attends_filling else ids)
        return TextItem(filled, attended, slice(len(filled)))

    def page(self, page: MixedInput) -> TextItem:
        """Raises InvalidInput: there is nothing that could look at a picture."""
        raise InvalidInput("this model reads texts, and no pictures.", param="input")

    def _read(self, value: str | tuple[int, ...], truncate: Truncate) -> Ids:
        if isinstance(value, str):  # stripped, as the texts of training were
            return next(self._tokenizer.encode([self._tokenizer.shortened(value.strip(), truncate)]))
        return self._tokenizer.wrap(self._tokenizer.shortened_ids(value, truncate), "")[0]

    def _filled(self, ids: Ids) -> Ids:
        missing = min(self._marking.query_length, self._max_tokens) - len(ids)
        if missing <= 0:
            return ids
        return np.concatenate((ids, np.full(missing, self._marking.filling, dtype=np.int32)))
