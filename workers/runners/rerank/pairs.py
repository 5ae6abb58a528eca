"""Query and document as cross-encoders read them: [CLS] query [SEP] document [SEP], or what the tokenizer says."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from jobs.errors import InvalidInput, JobError
from workers.runners.contract import caught
from workers.runners.rerank.item import Question, RerankItem, check_query, fitted, with_documents
from workers.runners.tokens.tokenizer import Ids, ModelTokenizer, portions


class Frame(NamedTuple):
    """The special tokens before, between and behind two texts, and the types of all five parts."""

    before: Ids
    between: Ids
    behind: Ids
    types: tuple[int, int, int, int, int]

    @property
    def tokens(self) -> int:
        return len(self.before) + len(self.between) + len(self.behind)


class PairTokenizer(ModelTokenizer):
    """A tokenizer with a template for pairs. Thread-safe, as its base is."""

    def contents(self, texts: Sequence[str]) -> Iterator[Ids]:
        """Each text's ids without special tokens, in order."""
        first, last = len(self.prefix), len(self.suffix)
        return (ids[first : len(ids) - last] for ids in self.encode(texts))

    def frame(self) -> Frame:
        """Raises InvalidInput for a template that is not: specials, query, specials, document, specials."""
        probe = self._tokenizer.encode("a", "b")
        owners = [-1 if owner is None else owner for owner in probe.sequence_ids]
        ids, types = np.asarray(probe.ids, np.int32), probe.type_ids
        firsts, seconds = np.flatnonzero(np.equal(owners, 0)), np.flatnonzero(np.equal(owners, 1))
        if not len(firsts) or not len(seconds) or firsts[-1] > seconds[0]:
            raise InvalidInput(
                "The tokenizer has no template for a query and a document; its tokenizer.json is not usable.",
                param="model",
            )
        a, a_end, b, b_end = int(firsts[0]), int(firsts[-1]) + 1, int(seconds[0]), int(seconds[-1]) + 1
        before, between, behind = types[:a], types[a_end:b], types[b_end:]
        parts = (before, types[a:a_end], between, types[b:b_end], behind)
        if any(len(set(part)) > 1 for part in parts):
            raise InvalidInput("The tokenizer's template for pairs is not supported.", param="model")
        kinds = [part[0] if part else 0 for part in parts]
        return Frame(ids[:a], ids[a_end:b], ids[b_end:], (kinds[0], kinds[1], kinds[2], kinds[3], kinds[4]))


class PairReader:
    """Reads for models that take no instruction (workers.runners.rerank.item.Reader)."""

    def __init__(
        self, path: Path, max_tokens: int, vocab_size: int, *, lowercase: bool, token_types: int
    ) -> None:
        """token_types: how many the model has embeddings for, 0 for none. Raises InvalidInput."""
        self._tokenizer = PairTokenizer(path, max_tokens, vocab_size, lowercase)
        self._frame = self._tokenizer.frame()
        self._max_tokens = max_tokens
        self._typed = token_types > 0
        if self._typed and max(self._frame.types) >= token_types:
            raise InvalidInput(
                f"The tokenizer tells {max(self._frame.types) + 1} types of tokens apart, and the model "
                f"{token_types}.",
                param="model",
            )

    @property
    def text_tokenizer(self) -> Tokenizer:
        return self._tokenizer.backend

    def read(self, questions: Sequence[Question]) -> Sequence[list[RerankItem] | JobError]:
        found = [caught(self._shortened, question) for question in questions]
        texts = [(each.query, *each.documents) for each in found if isinstance(each, Question)]
        contents = portions(self._tokenizer.contents([*chain(*texts)]), map(len, texts))
        return [each if isinstance(each, JobError) else self._read(each, next(contents)) for each in found]

    def _shortened(self, question: Question) -> Question:
        """Raises InputTooLong."""
        check_query(self._tokenizer, question.query)
        return with_documents(question, self._tokenizer)

    def _read(self, question: Question, contents: Iterator[Ids]) -> list[RerankItem] | JobError:
        """contents: ids of the query and of the documents, taken as far as none is refused."""
        query = next(contents)
        if question.instruction is not None:
            return InvalidInput("The model takes no instruction.", param="instruction")
        around = self._frame.tokens + len(query)
        try:
            return [
                self._item(query, fitted(document, n, around, self._max_tokens, truncate=question.truncate))
                for n, document in enumerate(contents)
            ]
        except JobError as error:
            return error

    def _item(self, query: Ids, document: Ids) -> RerankItem:
        frame = self._frame
        parts = (frame.before, query, frame.between, document, frame.behind)
        types = np.repeat(np.asarray(frame.types, np.int32), [len(part) for part in parts])
        return RerankItem(np.concatenate(parts), types if self._typed else None)
