"""What MemoryQueue answers to a reranking: the share of the query's words that a document has."""

from array import array

from jobs.content import TextPart
from jobs.errors import InputTooLong
from jobs.models import ModelInfo
from jobs.rerank import Passage, RerankJob, RerankResult

RERANK_MODEL = ModelInfo(
    id="org/reranker",
    task="rerank",
    created=1_700_000_000,
    dimensions=0,
    max_tokens=64,
    abilities=("vision",),
)


def memory_ranking(job: RerankJob, info: ModelInfo) -> RerankResult:
    """A token is a word, or an image; all images are the same word. The raw score is the number of words found.

    Raises InputTooLong like a worker does.
    """
    query = _words(job.query)
    room = info.max_tokens - len(query) - len((job.instruction or "").split())
    if room < 1:
        raise InputTooLong("The query is too long.", param="query")
    wanted = set(query)
    scores, tokens = array("f"), list[int]()
    for index, document in enumerate(job.documents):
        words = _words(document)
        if len(words) > room and not job.truncate:
            raise InputTooLong(f"documents[{index}] is too long.", param="documents")
        words = words[:room]
        found = len(wanted & set(words))
        scores.append(found if job.raw_scores else found / max(1, len(wanted)))
        tokens.append(info.max_tokens - room + len(words))
    return RerankResult(scores=scores.tobytes(), tokens=tuple(tokens))


def _words(passage: Passage) -> list[str]:
    if isinstance(passage, str):
        return passage.lower().split()
    words: list[str] = []
    for part in passage:
        words += part.text.lower().split() if isinstance(part, TextPart) else ["<image>"]
    return words
