"""What a reranker is asked, and a query with one document as the model reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from jobs.content import TextPart
from jobs.errors import InputTooLong, InvalidInput, JobError
from jobs.rerank import Passage, RerankJob
from workers.runners.tokens.tokenizer import Ids, ModelTokenizer


class Question(NamedTuple):
    """A job of texts alone. instruction: None for the model's own."""

    query: str
    documents: tuple[str, ...]
    instruction: str | None
    truncate: bool


@dataclass(frozen=True, slots=True)
class RerankItem:
    """One pair: ids with special tokens and template, int32. types: which of the two texts a token belongs to, for
    models that are told. shared: so many tokens at its beginning are those of other pairs of its job, too.
    """

    ids: Ids
    types: Ids | None = None
    shared: int = 0

    @property
    def length(self) -> int:
        return len(self.ids)

    @property
    def beginning(self) -> bytes:
        return self.ids[: self.shared].tobytes()


class Reader(Protocol):
    """How a model puts a query and a document into one input."""

    def read(self, questions: Sequence[Question]) -> Sequence[list[RerankItem] | JobError]:
        """Of each question in order: an item per document, or what is wrong with it. All tokenised together."""
        ...


def question_of(job: RerankJob) -> Question:
    """Raises InvalidInput for pictures, and where there is no document."""
    if not job.documents:
        raise InvalidInput("There is no document: send at least one.", param="documents")
    query = _text(job.query, "The query", "query")
    documents = [_text(each, f"Document {n}", "documents") for n, each in enumerate(job.documents)]
    return Question(query, tuple(documents), job.instruction, job.truncate)


def _text(passage: Passage, name: str, param: str) -> str:
    if isinstance(passage, str):
        return passage
    texts = [part.text for part in passage if isinstance(part, TextPart)]
    if len(texts) < len(passage):
        raise InvalidInput(f"{name} holds a picture, and the model reads texts only.", param=param)
    return "".join(texts)


def shortened(tokenizer: ModelTokenizer, document: str, place: int, *, truncate: bool) -> str:
    """The document, or a part of it that makes the same pair; place as in `fitted`. Raises InputTooLong."""
    found = tokenizer.excerpt(document)
    if found.overlong and not truncate:
        raise InputTooLong(
            f"Document {place}: more than {tokenizer.max_tokens} tokens with the query, and the model reads at most "
            f"{tokenizer.max_tokens}. Shorten it, or set `truncate`.",
            param="documents",
        )
    return found.text


def with_documents(question: Question, tokenizer: ModelTokenizer) -> Question:
    """The question, its long documents shortened. Raises InputTooLong."""
    documents = [
        shortened(tokenizer, document, place, truncate=question.truncate)
        for place, document in enumerate(question.documents)
    ]
    return question._replace(documents=tuple(documents))


def check_query(tokenizer: ModelTokenizer, text: str) -> None:
    """text: the query, with what is before it. Raises InputTooLong for one that certainly leaves no room."""
    if tokenizer.excerpt(text).overlong:
        raise InputTooLong(
            f"The query takes more than {tokenizer.max_tokens} tokens with its template, which leaves no room for a "
            f"document: the model reads at most {tokenizer.max_tokens}. Shorten the query or the instruction.",
            param="query",
        )


def fitted(
    document: Ids, place: int, around: int, max_tokens: int, *, truncate: bool, pictures: int = 0
) -> Ids:
    """The tokens of the document's text, cut at their end where that is asked for.

    place: its index, for messages. around: tokens of all but the document. pictures: tokens of the document's
    pictures, which are never cut. Raises InputTooLong.
    """
    room = max_tokens - around - pictures
    if len(document) <= room:
        return document
    if max_tokens - around < 1:
        raise InputTooLong(
            f"The query takes {around} tokens with its template, which leaves no room for document {place}: "
            f"the model reads at most {max_tokens}. Shorten the query or the instruction.",
            param="query",
        )
    if room < 0:
        raise InputTooLong(
            f"Document {place}: its pictures alone make {around + pictures} tokens with the query, and the model "
            f"reads at most {max_tokens}. Send fewer or smaller ones.",
            param="documents",
        )
    if not truncate:
        raise InputTooLong(
            f"Document {place}: {around + pictures + len(document)} tokens with the query, and the model reads at "
            f"most {max_tokens}. Shorten it, or set `truncate`.",
            param="documents",
        )
    return document[:room]
