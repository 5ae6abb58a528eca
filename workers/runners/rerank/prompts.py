"""Query and document as Qwen3-Reranker reads them: its model card's prompt, to which it answers yes or no."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from jobs.errors import InvalidInput, JobError
from workers.runners.contract import caught
from workers.runners.rerank.item import Question, RerankItem, check_query, fitted, with_documents
from workers.runners.tokens.common_prefix import common_prefix_length
from workers.runners.tokens.tokenizer import Ids, ModelTokenizer, portions

# https://huggingface.co/Qwen/Qwen3-Reranker-0.6B, "Transformers Usage"
SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".'
)
PREFIX = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n"
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
NO, YES = "no", "yes"


class PromptTokenizer(ModelTokenizer):
    """Thread-safe, as its base is."""

    def bare(self, text: str) -> Ids:
        """Its ids, without special tokens of the tokenizer's own; those that the text spells are read as such."""
        return np.asarray(self._tokenizer.encode(text, add_special_tokens=False).ids, dtype=np.int32)

    def head_ids(self, head: str) -> Ids:
        """What a text that begins with `head` begins with, but for a last token that may run on."""
        return np.concatenate((self.prefix, self.bare(head)))

    def id_of(self, token: str) -> int:
        """Raises InvalidInput where the vocabulary has no such token."""
        found = self._tokenizer.token_to_id(token)
        if found is None or found >= self.vocab_size:
            raise InvalidInput(
                f"The tokenizer has no token {token!r}, so the model is no Qwen3-Reranker.", param="model"
            )
        return found


class PromptReader:
    """Reads for Qwen3-Reranker (workers.runners.rerank.item.Reader)."""

    def __init__(self, path: Path, max_tokens: int, vocab_size: int) -> None:
        """Raises InvalidInput."""
        self._tokenizer = PromptTokenizer(path, max_tokens, vocab_size)
        self._prefix, self._suffix = self._tokenizer.bare(PREFIX), self._tokenizer.bare(SUFFIX)
        self._max_tokens = max_tokens
        self.answers = (self._tokenizer.id_of(NO), self._tokenizer.id_of(YES))
        """The tokens "no" and "yes"."""

    @property
    def text_tokenizer(self) -> Tokenizer:
        return self._tokenizer.backend

    def read(self, questions: Sequence[Question]) -> Sequence[list[RerankItem] | JobError]:
        found = [caught(self._shortened, each) for each in questions]
        texts = [
            [_head(each) + document for document in each.documents]
            for each in found
            if isinstance(each, Question)
        ]
        bodies = portions(self._tokenizer.encode([*chain(*texts)]), map(len, texts))
        return [
            each if isinstance(each, JobError) else self._read(each, _head(each), next(bodies))
            for each in found
        ]

    def _shortened(self, question: Question) -> Question:
        """Raises InputTooLong."""
        check_query(self._tokenizer, _head(question))
        return with_documents(question, self._tokenizer)

    def _read(self, question: Question, head: str, bodies: Iterator[Ids]) -> list[RerankItem] | JobError:
        """bodies: ids of this question's texts, taken as far as none is refused."""
        try:
            fitting = [self._fitted(body, n, question, head) for n, body in enumerate(bodies)]
        except JobError as error:
            return error
        shared = len(self._prefix) + self._shared(head, fitting)
        return [
            RerankItem(np.concatenate((self._prefix, body, self._suffix)), prefix_tokens=shared)
            for body in fitting
        ]

    def _shared(self, head: str, bodies: Sequence[Ids]) -> int:
        """How many tokens the bodies have in common: the head's, but for a last one that runs into a document."""
        common = self._tokenizer.head_ids(head)
        return min(common_prefix_length(common, body) for body in bodies)

    def _fitted(self, body: Ids, index: int, question: Question, head: str) -> Ids:
        """The body, its document cut at the end where that is needed and asked for. Raises InputTooLong."""
        template = len(self._prefix) + len(self._suffix)
        if template + len(body) <= self._max_tokens:
            return body
        before, behind = len(self._tokenizer.prefix), len(self._tokenizer.suffix)
        fixed = before + self._tokenizer.prompt_tokens(head, question.documents[index])
        document = body[fixed : len(body) - behind]
        around = template + fixed + behind
        kept = fitted(document, index, around, self._max_tokens, truncate=question.truncate)
        return np.concatenate((body[:fixed], kept, body[len(body) - behind :]))


def _head(question: Question) -> str:
    instruction = INSTRUCTION if question.instruction is None else question.instruction
    return f"<Instruct>: {instruction}\n<Query>: {question.query}\n<Document>: "
