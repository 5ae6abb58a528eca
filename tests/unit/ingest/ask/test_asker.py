"""From a question to the job that answers it."""

from collections.abc import Sequence

import msgspec
import pytest

from ingest.ask.asker import Asker
from jobs.content import ImagePart, TextPart
from jobs.errors import InvalidInput, UnknownModel
from jobs.generate import Chat, GenerateJob
from jobs.search.documents import PageRef, PageText
from jobs.search.errors import DocumentGone
from jobs.search.query import SearchQuery
from jobs.search.question import PreparedAnswer, Question
from jobs.search.reply import SearchHit, SearchReply
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.vectors.memory_collections import MemoryCollections

EYES = msgspec.structs.replace(CHAT_MODEL, id="eyes", abilities=("vision",))
BLIND = msgspec.structs.replace(CHAT_MODEL, id="blind", abilities=())


def hit(page: int, text: str = "") -> SearchHit:
    return SearchHit(
        collection="docs",
        document="d",
        paths=("/docs/a.pdf",),
        page=page,
        kinds=("text",) if text else ("visual",),
        score=1.0,
        text=text,
        point=str(page),
    )


class Found(MemoryCollections):
    """Finds these hits, whatever is asked; similarity: of the best chunk. gone: its files are."""

    def __init__(self, hits: Sequence[SearchHit], *, similarity: float = 0.9, kind: str = "text") -> None:
        super().__init__()
        self.hits, self.similarity, self.kind, self.gone = tuple(hits), similarity, kind, False

    async def search(self, query: SearchQuery) -> SearchReply:
        self.asked.append(query)
        assert query.with_similarity
        return SearchReply(hits=self.hits, similarity=self.similarity if self.kind == "text" else None)

    async def page_image(self, page: PageRef, max_pixels: int) -> bytes:
        if self.gone:
            raise DocumentGone
        return b"PNG %d" % page.page

    async def page_text(self, page: PageRef) -> PageText:
        return PageText(f"The text of page {page.page}.", has_image=True)


async def prepare(collections: Found, *models: object, **fields: object) -> PreparedAnswer:
    queue = MemoryQueue(models or (BLIND,))  # pyright: ignore[reportArgumentType]
    question = Question(text="How long?", **fields)  # pyright: ignore[reportArgumentType]
    return await Asker(collections, queue).prepare(question)


def parts(job: GenerateJob | None) -> list[TextPart | ImagePart]:
    assert job is not None and isinstance(job.prompt, Chat)
    return list(job.prompt.messages[-1].content)


async def test_chunks_of_text_are_shown_as_they_were_found():
    prepared = await prepare(Found([hit(1, "Ten seconds."), hit(2, "Other.")]), max_tokens=50)

    assert prepared.job is not None and (prepared.job.model, prepared.job.max_tokens) == ("blind", 50)
    assert [each.page for each in prepared.sources] == [1, 2]
    assert any("Ten seconds." in part.text for part in parts(prepared.job) if isinstance(part, TextPart))


async def test_pages_found_by_their_image_are_shown_to_a_model_with_eyes():
    prepared = await prepare(Found([hit(3)], kind="visual"), BLIND, EYES)

    assert prepared.job is not None and prepared.job.model == "eyes"
    assert ImagePart(b"PNG 3") in parts(prepared.job)


async def test_a_model_without_eyes_is_shown_their_text():
    prepared = await prepare(Found([hit(3)], kind="visual"))

    assert any(
        "The text of page 3." in part.text for part in parts(prepared.job) if isinstance(part, TextPart)
    )


async def test_nothing_near_means_that_no_model_is_asked():
    prepared = await prepare(Found([hit(1, "Bread.")], similarity=0.1))

    assert prepared == PreparedAnswer(job=None)


@pytest.mark.parametrize(("kind", "is_asked"), [("text", False), ("visual", True)])
async def test_one_search_tells_both_the_pages_and_how_near_they_are(kind: str, is_asked: bool):
    found = Found([hit(1, "Bread.")], similarity=0.1, kind=kind)

    assert ((await prepare(found)).job is not None) == is_asked
    assert len(found.asked) == 1


async def test_no_hit_means_that_no_model_is_asked():
    assert (await prepare(Found([]))).job is None


async def test_pages_whose_files_are_gone_are_told_of():
    found = Found([hit(1), hit(2, "Text.")], kind="visual")
    found.gone = True

    prepared = await prepare(found, EYES)

    assert [each.page for each in prepared.sources] == [2]
    assert "1 pages were found that this model cannot read" in prepared.notes[0]


async def test_where_no_page_can_be_read_the_error_says_why():
    found = Found([hit(1), hit(2)], kind="visual")
    found.gone = True

    with pytest.raises(
        InvalidInput, match="eyes cannot read the pages that were found: their files are gone"
    ):
        await prepare(found, EYES)


@pytest.mark.parametrize(("context_tokens", "shown"), [(32_000, 5), (8192, 5), (4096, 2), (2000, 1)])
async def test_images_of_pages_keep_to_the_models_context_too(context_tokens: int, shown: int):
    short = msgspec.structs.replace(EYES, max_tokens=context_tokens)

    prepared = await prepare(Found([hit(n) for n in range(1, 6)], kind="visual"), short)

    assert len(prepared.sources) == shown


async def test_the_prompt_keeps_to_the_models_context():
    short = msgspec.structs.replace(BLIND, max_tokens=2000)

    prepared = await prepare(Found([hit(n, "x" * 600) for n in (1, 2, 3, 4)]), short)

    assert len(prepared.sources) < 4
    assert "do not fit" in prepared.notes[0]


async def test_a_context_too_short_for_any_page_is_refused():
    short = msgspec.structs.replace(BLIND, max_tokens=512)

    with pytest.raises(InvalidInput, match="too few"):
        await prepare(Found([hit(1, "x")]), short)


async def test_an_empty_question_is_refused():
    with pytest.raises(InvalidInput, match="empty"):
        await Asker(Found([]), MemoryQueue((BLIND,))).prepare(Question(text=" "))


async def test_where_no_model_writes_the_error_says_what_to_serve():
    with pytest.raises(UnknownModel, match="--model"):
        await prepare(Found([hit(1, "x")]), MODEL)


async def test_a_named_model_must_write():
    with pytest.raises(InvalidInput, match="not for this task"):
        await prepare(Found([hit(1, "x")]), MODEL, BLIND, model=MODEL.id)
