"""What a reranker is asked, and a query with one document as the model reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from jobs.content import TextPart
from jobs.errors import InputTooLong, InvalidInput, JobError
from jobs.rerank import Passage, RerankJob
from workers.runners.tokens.tokenizer import Ids, ModelTokenizer
from workers.runners.tokens.tokenizing import HasTokenizer


class Question(NamedTuple):
    """A job of texts alone."""

    query: str
    documents: tuple[str, ...]
    instruction: str | None
    """None for the model's own."""
    truncate: bool


@dataclass(frozen=True, slots=True)
class RerankItem:
    """A query with one document, as the model reads them."""

    ids: Ids
    """With special tokens and template, int32."""
    types: Ids | None = None
    """Which of the two texts each token belongs to, for models that have an embedding for that."""
    prefix_tokens: int = 0
    """How many tokens at its start the other pairs of its job have, too."""

    @property
    def length(self) -> int:
        return len(self.ids)

    @property
    def prefix_key(self) -> bytes:
        """Equal for pairs with the same prefix."""
        return self.ids[: self.prefix_tokens].tobytes()


class Reader(HasTokenizer, Protocol):
    """How a model puts a query and a document into one input."""

    def read(self, questions: Sequence[Question]) -> Sequence[list[RerankItem] | JobError]:
        """Of each question in order: an item per document, or what is wrong with it. All tokenised together."""
        ...


def question_of(job: RerankJob) -> Question:
    """Raises InvalidInput for images, and where there is no document."""
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
        raise InvalidInput(f"{name} holds an image, and the model reads texts only.", param=param)
    return "".join(texts)


def shortened(tokenizer: ModelTokenizer, document: str, index: int, *, truncate: bool) -> str:
    """The document, or a part of it that makes the same pair; index as in `fitted`. Raises InputTooLong."""
    found = tokenizer.excerpt(document)
    if found.overlong and not truncate:
        raise InputTooLong(
            f"Document {index}: more than {tokenizer.max_tokens} tokens with the query, and the model reads at most "
            f"{tokenizer.max_tokens}. Shorten it, or set `truncate`.",
            param="documents",
        )
    return found.text


def with_documents(question: Question, tokenizer: ModelTokenizer) -> Question:
    """The question, its long documents shortened. Raises InputTooLong."""
    documents = [
        shortened(tokenizer, document, index, truncate=question.truncate)
        for index, document in enumerate(question.documents)
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
    document: Ids, index: int, around: int, max_tokens: int, *, truncate: bool, image_tokens: int = 0
) -> Ids:
    """The tokens of the document's text, cut at their end where that is asked for.

    index: its index, for messages. around: tokens of all but the document. image_tokens: those of the
    document's images, which are never cut. Raises InputTooLong.
    """
    room = max_tokens - around - image_tokens
    if len(document) <= room:
        return document
    if max_tokens - around < 1:
        raise InputTooLong(
            f"The query takes {around} tokens with its template, which leaves no room for document {index}: "
            f"the model reads at most {max_tokens}. Shorten the query or the instruction.",
            param="query",
        )
    if room < 0:
        raise InputTooLong(
            f"Document {index}: its images alone make {around + image_tokens} tokens with the query, and the model "
            f"reads at most {max_tokens}. Send fewer or smaller ones.",
            param="documents",
        )
    if not truncate:
        raise InputTooLong(
            f"Document {index}: {around + image_tokens + len(document)} tokens with the query, and the model reads at "
            f"most {max_tokens}. Shorten it, or set `truncate`.",
            param="documents",
        )
    return document[:room]
