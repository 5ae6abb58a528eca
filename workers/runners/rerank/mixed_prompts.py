"""Query and document as Qwen3-VL-Reranker reads them: its published code's prompt, to which it answers yes or no.

https://huggingface.co/Qwen/Qwen3-VL-Reranker-2B, scripts/qwen3_vl_reranker.py. Unlike Qwen3-Reranker's, it has no line
break behind the instruction, no space before a query or document, and no thoughts before the answer. Texts and images
stand in the order in which they came, with nothing between them; published examples have images first.
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
from tokenizers import Tokenizer

from jobs.content import ImagePart, TextPart
from jobs.errors import InvalidInput, JobError
from jobs.rerank import Passage, RerankJob
from workers.runners.contract import caught, named
from workers.runners.rerank.item import check_query, fitted, shortened
from workers.runners.rerank.prompts import NO, PREFIX, YES, PromptTokenizer
from workers.runners.tokens.common_prefix import common_prefix_length
from workers.runners.tokens.tokenizer import Ids, portions
from workers.runners.vision.image_tokens import (
    QWEN_PLACEHOLDERS,
    ImageTokens,
    grids_of,
    qwen_image_tokens,
    refuse_placeholders,
)
from workers.runners.vision.images import decode, decoding_threads
from workers.runners.vision.mixed_input import MixedItem, images_within
from workers.runners.vision.patches import Patching

SUFFIX = "<|im_end|>\n<|im_start|>assistant\n"
INSTRUCTION = "Given a search query, retrieve relevant candidates that answer the query."
IMAGE = f"<|vision_start|>{QWEN_PLACEHOLDERS[0]}<|vision_end|>"
"""In a text; its middle token is then repeated for each of the image's."""

ImageFutures = dict[bytes, Future[ImageTokens]]
"""Of each image that was sent."""


class Side(NamedTuple):
    """A query or a document."""

    name: str
    """How messages call it."""
    param: str
    """The job's field that it is of."""
    text: str
    """With IMAGE for each of the images."""
    images: tuple[bytes, ...]


class MixedQuestion(NamedTuple):
    """A job, as the model is asked."""

    head: str
    """All that stands before a document."""
    query: Side
    documents: tuple[Side, ...]
    truncate: bool

    @property
    def images(self) -> list[bytes]:
        return [image for side in (self.query, *self.documents) for image in side.images]


@dataclass(frozen=True, slots=True)
class MixedPair(MixedItem):
    """A query with one document."""

    prefix_tokens: int = 0
    """How many tokens at its start the other pairs of its job have, too."""

    @property
    def prefix_key(self) -> Hashable:
        """Equal for pairs with the same prefix. Images are compared by identity: each is decoded once for a batch."""
        return self.ids[: self.prefix_tokens].tobytes(), tuple(
            map(id, images_within(self, 0, self.prefix_tokens))
        )


class MixedPromptTokenizer(PromptTokenizer):
    """Thread-safe, as its base is."""

    def span(self, before: str, text: str, behind: str) -> tuple[int, int]:
        """The first token that begins in `text`, and the first that begins behind it."""
        offsets = self._tokenizer.encode(before + text + behind).offsets
        begins = np.array([begin for begin, _ in offsets])
        first = len(self.prefix) + int((begins[len(self.prefix) :] < len(before)).sum())
        return first, first + int((begins[first:] < len(before) + len(text)).sum())


class MixedReader:
    """Reads for Qwen3-VL-Reranker (workers.runners.rerank.model.JobReader)."""

    def __init__(
        self, path: Path, patching: Patching, *, max_tokens: int, vocab_size: int, image_token: int
    ) -> None:
        """path: tokenizer.json. Raises InvalidInput."""
        self._tokenizer = MixedPromptTokenizer(path, max_tokens, vocab_size)
        if self._tokenizer.bare(QWEN_PLACEHOLDERS[0]).tolist() != [image_token]:
            raise InvalidInput(f"{path} knows no {QWEN_PLACEHOLDERS[0]}, or by another id.", param="model")
        self._image_tokens = partial(_image_tokens, patching=patching)
        self._max_tokens = max_tokens
        self._image_token = image_token
        self._threads = decoding_threads()
        self.answers = (self._tokenizer.id_of(NO), self._tokenizer.id_of(YES))
        """The tokens "no" and "yes"."""

    @property
    def text_tokenizer(self) -> Tokenizer:
        return self._tokenizer.backend

    def read(self, jobs: Sequence[RerankJob]) -> Sequence[list[MixedPair] | JobError]:
        """Images of all jobs are decoded at once, each only once, while all pairs are tokenised together."""
        asked = [caught(self._question, job) for job in jobs]
        questions = [each for each in asked if isinstance(each, MixedQuestion)]
        decoded = self._decode([image for each in questions for image in each.images])
        texts = [[each.head + document.text + SUFFIX for document in each.documents] for each in questions]
        bodies = portions(self._tokenizer.encode([*chain(*texts)]), map(len, texts))
        items = iter([self._read(each, next(bodies), decoded) for each in questions])
        return [each if isinstance(each, JobError) else next(items) for each in asked]

    def _question(self, job: RerankJob) -> MixedQuestion:
        """Raises InvalidInput."""
        documents = [self._shortened(each, n, job.truncate) for n, each in enumerate(job.documents)]
        question = mixed_question_of(msgspec.structs.replace(job, documents=tuple(documents)))
        check_query(self._tokenizer, question.head)
        return question

    def _shortened(self, passage: Passage, index: int, truncate: bool) -> Passage:
        """Each text is shortened by itself: images part them for the tokenizer, too. Raises InputTooLong."""
        if isinstance(passage, str):
            return shortened(self._tokenizer, passage, index, truncate=truncate)
        return tuple(
            TextPart(shortened(self._tokenizer, part.text, index, truncate=truncate))
            if isinstance(part, TextPart)
            else part
            for part in passage
        )

    def _decode(self, images: Sequence[bytes]) -> ImageFutures:
        """Decoding and scaling images release the GIL."""
        return {each: self._threads.submit(self._image_tokens, each) for each in dict.fromkeys(images)}

    def _read(
        self, question: MixedQuestion, bodies: Iterator[Ids], decoded: ImageFutures
    ) -> list[MixedPair] | JobError:
        """bodies: ids of this question's texts, taken as far as none is refused."""
        try:
            query = _image_tokens_of(question.query, decoded)
            head = self._with_image_tokens(self._tokenizer.head_ids(question.head), query)
            items = [self._item(question, n, body, query, decoded) for n, body in enumerate(bodies)]
            shared = min(common_prefix_length(head, item.ids) for item in items)
            return [MixedPair(item.ids, item.images, item.grids, shared) for item in items]
        except JobError as error:
            return error

    def _item(
        self, question: MixedQuestion, index: int, body: Ids, query: list[ImageTokens], decoded: ImageFutures
    ) -> MixedItem:
        """Raises InvalidInput."""
        document = _image_tokens_of(question.documents[index], decoded)
        found = [*query, *document]
        ids = self._with_image_tokens(self._fitted(question, index, body, found), found)
        return MixedItem(ids, tuple(each.pixels for each in found), grids_of(ids, found, self._image_token))

    def _with_image_tokens(self, body: Ids, images: Sequence[ImageTokens]) -> Ids:
        """The ids, each placeholder repeated for as many tokens as its image has."""
        times = np.ones(len(body), dtype=np.int64)
        times[body == self._image_token] = [each.tokens for each in images]
        return np.repeat(body, times)

    def _fitted(self, question: MixedQuestion, index: int, body: Ids, images: Sequence[ImageTokens]) -> Ids:
        """The body, its document's text cut at the end where that is needed and asked for. Raises InputTooLong."""
        length = len(body) + sum(each.tokens - 1 for each in images)
        if length <= self._max_tokens:
            return body
        document = question.documents[index]
        first, end = self._tokenizer.span(question.head, document.text, SUFFIX)
        of_text = np.zeros(len(body), dtype=bool)
        of_text[first:end] = True
        placeholders = np.flatnonzero(body == self._image_token)[len(question.query.images) :]
        for at in placeholders:
            of_text[at - 1 : at + 2] = False
        image_tokens = sum(each.tokens + 2 for each in images[len(question.query.images) :])
        text = np.flatnonzero(of_text)
        around = length - image_tokens - len(text)
        kept = fitted(
            body[text], index, around, self._max_tokens, truncate=question.truncate, image_tokens=image_tokens
        )
        return np.delete(body, text[len(kept) :])


def mixed_question_of(job: RerankJob) -> MixedQuestion:
    """Raises InvalidInput for a document or query that holds nothing, and where there is no document."""
    if not job.documents:
        raise InvalidInput("There is no document: send at least one.", param="documents")
    instruction = INSTRUCTION if job.instruction is None else job.instruction
    _checked("The instruction", "instruction", instruction)
    query = _side("The query", "query", job.query)
    documents = [_side(f"Document {n}", "documents", each) for n, each in enumerate(job.documents)]
    head = f"{PREFIX}<Instruct>: {instruction}<Query>:{query.text}\n<Document>:"
    return MixedQuestion(head, query, tuple(documents), job.truncate)


def _side(name: str, param: str, passage: Passage) -> Side:
    parts = (TextPart(passage),) if isinstance(passage, str) else passage
    _checked(name, param, "".join(part.text for part in parts if isinstance(part, TextPart)))
    text = "".join(part.text if isinstance(part, TextPart) else IMAGE for part in parts)
    if not text:
        raise InvalidInput(f"{name} is empty.", param=param)
    return Side(name, param, text, tuple(part.data for part in parts if isinstance(part, ImagePart)))


def _checked(name: str, param: str, text: str) -> None:
    with named(name, param):
        refuse_placeholders(text, QWEN_PLACEHOLDERS)


def _image_tokens_of(side: Side, decoded: ImageFutures) -> list[ImageTokens]:
    """Waits for the images to be decoded. Raises InvalidInput for what is no image."""
    with named(side.name, side.param):
        return [decoded[each].result() for each in side.images]


def _image_tokens(data: bytes, patching: Patching) -> ImageTokens:
    return qwen_image_tokens(decode(data, "documents"), patching)
