"""Query and document as Qwen3-VL-Reranker reads them: its published code's prompt, to which it answers yes or no.

https://huggingface.co/Qwen/Qwen3-VL-Reranker-2B, scripts/qwen3_vl_reranker.py. Unlike Qwen3-Reranker's, it has no line
break behind the instruction, no space before a query or document, and no thoughts before the answer. Texts and pictures
stand in the order in which they came, with nothing between them; published examples have pictures first.
"""

from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from jobs.content import ImagePart, TextPart
from jobs.errors import InvalidInput, JobError
from jobs.rerank import Passage, RerankJob
from workers.runners.contract import caught, named
from workers.runners.rerank.item import check_query, fitted, shortened
from workers.runners.rerank.prompts import NO, PREFIX, YES, PromptTokenizer
from workers.runners.tokens.tokenizer import Ids, portions, same_start
from workers.runners.vision.image_tokens import QWEN_MARKS, Look, grids_of, look, refuse_marks
from workers.runners.vision.images import decode, decoding_threads
from workers.runners.vision.mixed_input import PageItem, pictures_within
from workers.runners.vision.patches import Cut

SUFFIX = "<|im_end|>\n<|im_start|>assistant\n"
INSTRUCTION = "Given a search query, retrieve relevant candidates that answer the query."
PICTURE = f"<|vision_start|>{QWEN_MARKS[0]}<|vision_end|>"
"""In a text; its middle token is then repeated for each of the picture's."""

Looks = dict[bytes, Future[Look]]
"""Of each picture that was sent."""


class Side(NamedTuple):
    """A query or a document. name, param: for messages. text: with PICTURE for each of the pictures."""

    name: str
    param: str
    text: str
    pictures: tuple[bytes, ...]


class PageQuestion(NamedTuple):
    """A job. head: all before a document."""

    head: str
    query: Side
    documents: tuple[Side, ...]
    truncate: bool

    @property
    def pictures(self) -> list[bytes]:
        return [picture for side in (self.query, *self.documents) for picture in side.pictures]


@dataclass(frozen=True, slots=True)
class PagePair(PageItem):
    """A query with one document. shared: so many tokens at its beginning are those of other pairs of its job, too."""

    shared: int = 0

    @property
    def beginning(self) -> Hashable:
        return self.ids[: self.shared].tobytes(), tuple(map(id, pictures_within(self, 0, self.shared)))


class PagePromptTokenizer(PromptTokenizer):
    """Thread-safe, as its base is."""

    def span(self, before: str, text: str, behind: str) -> tuple[int, int]:
        """The first token that begins in `text`, and the first that begins behind it."""
        offsets = self._tokenizer.encode(before + text + behind).offsets
        begins = np.array([begin for begin, _ in offsets])
        first = len(self.prefix) + int((begins[len(self.prefix) :] < len(before)).sum())
        return first, first + int((begins[first:] < len(before) + len(text)).sum())


class PageReader:
    """Reads for Qwen3-VL-Reranker (workers.runners.rerank.model.JobReader).

    answers: the tokens "no" and "yes".
    """

    def __init__(self, path: Path, cut: Cut, *, max_tokens: int, vocab_size: int, image_token: int) -> None:
        """path: tokenizer.json. Raises InvalidInput."""
        self._tokenizer = PagePromptTokenizer(path, max_tokens, vocab_size)
        if self._tokenizer.bare(QWEN_MARKS[0]).tolist() != [image_token]:
            raise InvalidInput(f"{path} knows no {QWEN_MARKS[0]}, or by another id.", param="model")
        self._look = partial(_look, cut=cut)
        self._max_tokens = max_tokens
        self._image_token = image_token
        self._threads = decoding_threads()
        self.answers = (self._tokenizer.id_of(NO), self._tokenizer.id_of(YES))

    def read(self, jobs: Sequence[RerankJob]) -> Sequence[list[PagePair] | JobError]:
        """Pictures of all jobs are decoded at once, each only once, while all pairs are tokenised together."""
        asked = [caught(self._question, job) for job in jobs]
        questions = [each for each in asked if isinstance(each, PageQuestion)]
        looks = self._looks([picture for each in questions for picture in each.pictures])
        texts = [[each.head + document.text + SUFFIX for document in each.documents] for each in questions]
        bodies = portions(self._tokenizer.encode([*chain(*texts)]), map(len, texts))
        items = iter([self._read(each, next(bodies), looks) for each in questions])
        return [each if isinstance(each, JobError) else next(items) for each in asked]

    def _question(self, job: RerankJob) -> PageQuestion:
        """Raises InvalidInput."""
        documents = [self._shortened(each, n, job.truncate) for n, each in enumerate(job.documents)]
        question = page_question_of(msgspec.structs.replace(job, documents=tuple(documents)))
        check_query(self._tokenizer, question.head)
        return question

    def _shortened(self, passage: Passage, place: int, truncate: bool) -> Passage:
        """Each text is shortened by itself: pictures part them for the tokenizer, too. Raises InputTooLong."""
        if isinstance(passage, str):
            return shortened(self._tokenizer, passage, place, truncate=truncate)
        return tuple(
            TextPart(shortened(self._tokenizer, part.text, place, truncate=truncate))
            if isinstance(part, TextPart)
            else part
            for part in passage
        )

    def _looks(self, pictures: Sequence[bytes]) -> Looks:
        """Decoding and scaling pictures release the GIL."""
        return {each: self._threads.submit(self._look, each) for each in dict.fromkeys(pictures)}

    def _read(self, question: PageQuestion, bodies: Iterator[Ids], looks: Looks) -> list[PagePair] | JobError:
        """bodies: ids of this question's texts, taken as far as none is refused."""
        try:
            query = _seen(question.query, looks)
            head = self._spread(self._tokenizer.beginning(question.head), query)
            items = [self._item(question, n, body, query, looks) for n, body in enumerate(bodies)]
            shared = min(same_start(head, item.ids) for item in items)
            return [PagePair(item.ids, item.pictures, item.grids, shared) for item in items]
        except JobError as error:
            return error

    def _item(
        self, question: PageQuestion, place: int, body: Ids, query: list[Look], looks: Looks
    ) -> PageItem:
        """Raises InvalidInput."""
        document = _seen(question.documents[place], looks)
        found = [*query, *document]
        ids = self._spread(self._fitted(question, place, body, found), found)
        return PageItem(ids, tuple(each.pixels for each in found), grids_of(ids, found, self._image_token))

    def _spread(self, body: Ids, looks: Sequence[Look]) -> Ids:
        """With as many tokens for each picture as it has."""
        times = np.ones(len(body), dtype=np.int64)
        times[body == self._image_token] = [each.tokens for each in looks]
        return np.repeat(body, times)

    def _fitted(self, question: PageQuestion, place: int, body: Ids, looks: Sequence[Look]) -> Ids:
        """The body, its document's text cut at the end where that is needed and asked for. Raises InputTooLong."""
        length = len(body) + sum(each.tokens - 1 for each in looks)
        if length <= self._max_tokens:
            return body
        document = question.documents[place]
        first, end = self._tokenizer.span(question.head, document.text, SUFFIX)
        of_text = np.zeros(len(body), dtype=bool)
        of_text[first:end] = True
        marks = np.flatnonzero(body == self._image_token)[len(question.query.pictures) :]
        for mark in marks:
            of_text[mark - 1 : mark + 2] = False
        pictures = sum(each.tokens + 2 for each in looks[len(question.query.pictures) :])
        text = np.flatnonzero(of_text)
        around = length - pictures - len(text)
        kept = fitted(
            body[text], place, around, self._max_tokens, truncate=question.truncate, pictures=pictures
        )
        return np.delete(body, text[len(kept) :])


def page_question_of(job: RerankJob) -> PageQuestion:
    """Raises InvalidInput for a document or query that holds nothing, and where there is no document."""
    if not job.documents:
        raise InvalidInput("There is no document: send at least one.", param="documents")
    instruction = INSTRUCTION if job.instruction is None else job.instruction
    _checked("The instruction", "instruction", instruction)
    query = _side("The query", "query", job.query)
    documents = [_side(f"Document {n}", "documents", each) for n, each in enumerate(job.documents)]
    head = f"{PREFIX}<Instruct>: {instruction}<Query>:{query.text}\n<Document>:"
    return PageQuestion(head, query, tuple(documents), job.truncate)


def _side(name: str, param: str, passage: Passage) -> Side:
    parts = (TextPart(passage),) if isinstance(passage, str) else passage
    _checked(name, param, "".join(part.text for part in parts if isinstance(part, TextPart)))
    text = "".join(part.text if isinstance(part, TextPart) else PICTURE for part in parts)
    if not text:
        raise InvalidInput(f"{name} is empty.", param=param)
    return Side(name, param, text, tuple(part.data for part in parts if isinstance(part, ImagePart)))


def _checked(name: str, param: str, text: str) -> None:
    with named(name, param):
        refuse_marks(text, QWEN_MARKS)


def _seen(side: Side, looks: Looks) -> list[Look]:
    """Waits for them. Raises InvalidInput for what is no picture."""
    with named(side.name, side.param):
        return [looks[each].result() for each in side.pictures]


def _look(data: bytes, cut: Cut) -> Look:
    return look(decode(data, "documents"), cut)
