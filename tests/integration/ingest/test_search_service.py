"""Searches as api and cli ask for them, over the embedded store, with models that know words alone."""

import asyncio
import contextlib
import hashlib
import io
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from ingest.collections.collections import Collections
from ingest.collections.fingerprint import Fingerprint
from ingest.collections.generations import Generations
from ingest.collections.points import ChunkFacts, PageFacts, text_point, visual_point
from ingest.documents.reader import DocumentReader
from ingest.pages.files import DocumentFiles
from ingest.pages.viewer import PageViewer
from ingest.qdrant.connect import connect, connect_async
from ingest.qdrant.embedded_writer import EmbeddedWriter
from ingest.search.service import CollectionSearch
from ingest.text.bm25 import document_vector
from jobs.content import ImagePart
from jobs.embed import PatchGrid
from jobs.errors import InvalidInput, NoWorker, UnknownModel
from jobs.job import Result
from jobs.models import ModelInfo
from jobs.rerank import RerankJob
from jobs.search.documents import PageRef
from jobs.search.errors import DocumentGone, UnknownCollection, UnknownDocument
from jobs.search.query import PageFilter, SearchQuery
from jobs.settings import Settings
from tests.support.documents.pdf import text_pdf
from tests.support.vectors.documents import NOW, store_in
from tests.support.vectors.word_queue import (
    DIMENSIONS,
    PAGE_MODEL,
    RERANKER,
    SEEING_RERANKER,
    TEXT_MODEL,
    WordQueue,
    text_vector,
    word_vector,
)

ROWS, COLUMNS = 3, 4
NEXT_TEXT_MODEL = ModelInfo("next-words", "embed", 0, DIMENSIONS, 512, digest="w2")
PAGES = {
    "animals.pdf": ("red fox den", "brown bear cave", "red panda tree"),
    "kitchen.pdf": ("salt and flour", "red pepper soup"),
    "scan.pdf": ("grey whale", "red kite sky"),
}
"""The texts of the pages. Of scan.pdf only the images are in the collection."""


class Library:
    """A folder of PDFs, and collections of them: `papers` has both kinds, `notes` texts of kitchen.pdf alone."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.settings = settings
        self.paths = {name: folder / name for name in PAGES}
        for name, path in self.paths.items():
            path.write_bytes(text_pdf(*PAGES[name]))
        self.ids = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in self.paths.items()}
        with (
            contextlib.closing(EmbeddedWriter(settings)) as writer,
            contextlib.closing(connect(settings)) as client,
        ):
            self._collections = Collections(client, writer)
            self._store("papers", ("animals.pdf", "kitchen.pdf"), tuple(PAGES))
            self._store("notes", ("kitchen.pdf",), ())

    def page(self, name: str, number: int, collection: str = "papers") -> PageRef:
        return PageRef(collection, self.ids[name], number)

    def _store(self, collection: str, texts: Sequence[str], images: Sequence[str]) -> None:
        text, visual = (Fingerprint(each.id, each.digest) for each in (TEXT_MODEL, PAGE_MODEL))
        self._collections.ensure(collection, "text", DIMENSIONS, text)
        for name in texts:
            for number, page in enumerate(PAGES[name], 1):
                facts = ChunkFacts(
                    *(
                        self.ids[name],
                        (f"{self.paths[name]}",),
                        number,
                        f"p{number}",
                        NOW,
                        number - 1,
                        page,
                        "Top",
                    ),
                    *(0, len(page)),
                )
                point = text_point(facts, text_vector(page), document_vector(page))
                self._collections.upsert(collection, "text", [point])
        if images:
            self._collections.ensure(collection, "visual", DIMENSIONS, visual)
        for name in images:
            for number, page in enumerate(PAGES[name], 1):
                facts = PageFacts(self.ids[name], (f"{self.paths[name]}",), number, f"p{number}", NOW)
                point = visual_point(facts, patches(page), [PatchGrid(1, ROWS, COLUMNS)])
                self._collections.upsert(collection, "visual", [point])


def patches(page: str) -> np.ndarray:
    """A vector before the patches, then word n at patch n, and nothing else."""
    rows = [word_vector("<page>"), *(word_vector(each) for each in page.split())]
    return np.stack([*rows, *(word_vector("<blank>"),) * (1 + ROWS * COLUMNS - len(rows))])


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory):
    with store_in(tmp_path_factory.mktemp("data")) as settings:
        yield Library(tmp_path_factory.mktemp("pdfs"), settings)


@contextlib.asynccontextmanager
async def opened(settings: Settings, queue: WordQueue) -> AsyncIterator[CollectionSearch]:
    client = connect_async(settings)
    async with DocumentReader(processes=1) as reader:
        yield CollectionSearch(client, queue, PageViewer(reader, DocumentFiles()), settings)
    await client.close()


@pytest.fixture
def queue() -> WordQueue:
    return WordQueue()


@pytest.fixture
async def searches(library: Library, queue: WordQueue) -> AsyncIterator[CollectionSearch]:
    async with opened(library.settings, queue) as found:
        yield found


async def found(searches: CollectionSearch, query: SearchQuery) -> list[tuple[str, int]]:
    """File names and pages, best first."""
    reply = await searches.search(query)
    return [(Path(each.paths[0]).name, each.page) for each in reply.hits]


async def test_auto_finds_pages_by_their_texts_and_by_their_images(searches: CollectionSearch):
    reply = await searches.search(SearchQuery("red fox", collections=("papers",)))
    first = reply.hits[0]
    assert (Path(first.paths[0]).name, first.page, first.label) == ("animals.pdf", 1, "p1")
    assert set(first.kinds) == {"text", "visual"}
    assert [first.snippet[start:end] for start, end in first.matches] == ["red", "fox"]
    assert first.heading == "Top"
    assert ("scan.pdf", 2) in [(Path(each.paths[0]).name, each.page) for each in reply.hits]
    assert [each.part for each in reply.timings] == ["embed", "search"]


@pytest.mark.parametrize("mode", ["visual", "hybrid", "text", "keywords"])
async def test_every_mode_finds_the_page_that_says_it(searches: CollectionSearch, mode: str):
    query = SearchQuery("brown bear", collections=("papers",), mode=mode)  # pyright: ignore[reportArgumentType]
    assert (await found(searches, query))[0] == ("animals.pdf", 2)


async def test_all_collections_are_searched_unless_some_are_named(searches: CollectionSearch):
    reply = await searches.search(SearchQuery("salt flour", mode="text"))
    assert {hit.collection for hit in reply.hits[:2]} == {"papers", "notes"}
    reply = await searches.search(SearchQuery("salt flour", collections=("notes",)))
    assert {hit.collection for hit in reply.hits} == {"notes"}


async def test_an_image_finds_pages_that_look_like_it(searches: CollectionSearch):
    # This model reads the text that the image's bytes are.
    assert (await found(searches, SearchQuery(image=b"grey whale", collections=("papers",))))[0] == (
        "scan.pdf",
        1,
    )


async def test_filters_hold_for_every_way_of_searching(searches: CollectionSearch, library: Library):
    only = PageFilter(documents=(library.ids["kitchen.pdf"],), first_page=2)
    query = SearchQuery("red", collections=("papers",), filter=only)
    assert await found(searches, query) == [("kitchen.pdf", 2)]


async def test_pages_are_grouped_by_document(searches: CollectionSearch):
    for mode in ("auto", "text"):
        query = SearchQuery(
            "red", collections=("papers",), mode=mode, group_by_document=True, group_size=1, limit=2
        )
        reply = await searches.search(query)
        assert len(reply.groups) == 2
        assert not reply.hits
        assert all(len(group.hits) == 1 for group in reply.groups)
        assert len({group.document for group in reply.groups}) == 2


async def test_no_more_than_wanted_and_nothing_below_the_least_score(searches: CollectionSearch):
    assert len(await found(searches, SearchQuery("red", limit=2))) == 2
    query = SearchQuery("red fox den", collections=("papers",), mode="text", min_score=0.99)
    assert await found(searches, query) == [("animals.pdf", 1)]


async def test_how_near_the_nearest_chunk_is_is_told_beside_joined_ranks(
    searches: CollectionSearch, queue: WordQueue
):
    asked = SearchQuery("salt bread", collections=("notes",), with_similarity=True)
    reply = await searches.search(asked)
    best = max(float(text_vector("salt bread") @ text_vector(page)) for page in PAGES["kitchen.pdf"])
    assert reply.similarity == pytest.approx(best, abs=1e-3)
    assert len(queue.done) == 1
    only = msgspec.structs.replace(asked, filter=PageFilter(first_page=2))
    assert (await searches.search(only)).similarity == pytest.approx(
        float(text_vector("salt bread") @ text_vector(PAGES["kitchen.pdf"][1])), abs=1e-3
    )
    for others in (
        SearchQuery("salt", collections=("notes",)),
        SearchQuery("salt", collections=("notes",), mode="keywords", with_similarity=True),
        SearchQuery("salt", collections=("papers",), with_similarity=True),  # by images, too
    ):
        assert (await searches.search(others)).similarity is None


async def test_texts_are_reranked_and_images_read_as_text_by_a_reranker_that_does_not_see(
    searches: CollectionSearch, queue: WordQueue
):
    query = SearchQuery("whale grey", collections=("papers",), rerank_model=RERANKER.id)
    reply = await searches.search(query)
    assert (reply.hits[0].page, reply.hits[0].score) == (1, 1.0)
    job = queue.done[-1]
    assert isinstance(job, RerankJob)
    assert "grey whale" in [f"{each}".strip() for each in job.documents]
    assert [each.part for each in reply.timings] == ["embed", "search", "rerank"]


async def test_a_reranker_that_sees_is_given_the_pages_images(searches: CollectionSearch, queue: WordQueue):
    query = SearchQuery("whale", collections=("papers",), mode="visual", rerank_model=SEEING_RERANKER.id)
    await searches.search(query)
    job = queue.done[-1]
    assert isinstance(job, RerankJob)
    [part] = job.documents[0]
    assert isinstance(part, ImagePart)
    assert Image.open(io.BytesIO(part.data)).format == "PNG"


async def test_pages_that_a_reranker_cannot_read_are_left_out_and_a_note_says_so(
    searches: CollectionSearch, library: Library, tmp_path: Path
):
    path = library.paths["scan.pdf"]
    path.rename(tmp_path / "away")
    try:
        query = SearchQuery("whale", collections=("papers",), mode="visual", rerank_model=RERANKER.id)
        reply = await searches.search(query)
    finally:
        (tmp_path / "away").rename(path)
    assert "scan.pdf" not in {Path(hit.paths[0]).name for hit in reply.hits}
    assert reply.notes == ("2 of 7 pages could not be read by the reranker, and are left out.",)


async def test_without_the_model_of_texts_these_are_found_by_keywords_and_a_note_says_so(library: Library):
    async with opened(library.settings, WordQueue(PAGE_MODEL)) as searches:
        reply = await searches.search(SearchQuery("brown bear", collections=("papers",)))
        assert reply.hits[0].page == 2
        [note] = reply.notes
        assert "mlxq up --model words" in note


async def test_without_any_model_a_mode_that_needs_one_is_an_error_that_says_what_to_start(library: Library):
    async with opened(library.settings, WordQueue(RERANKER)) as searches:
        with pytest.raises(NoWorker, match="mlxq up --model patches"):
            await searches.search(SearchQuery("bear", collections=("papers",), mode="visual"))
        reply = await searches.search(SearchQuery("bear", collections=("papers",)))
        assert [hit.page for hit in reply.hits] == [2]  # by keywords


class MakingAnew(WordQueue):
    """While its first job is done, another generation takes the place of `notes`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(TEXT_MODEL, NEXT_TEXT_MODEL)
        self._settings = settings

    async def wait(self, job_id: str, timeout_s: float) -> Result:
        if job_id == "0":
            await asyncio.to_thread(self._make_anew)
        return await super().wait(job_id, timeout_s)

    def _make_anew(self) -> None:
        with (
            contextlib.closing(EmbeddedWriter(self._settings)) as writer,
            contextlib.closing(connect(self._settings)) as client,
        ):
            made = Collections(client, writer, {"text": "next"})
            maker = Fingerprint(NEXT_TEXT_MODEL.id, NEXT_TEXT_MODEL.digest)
            made.ensure("notes", "text", DIMENSIONS, maker)
            facts = ChunkFacts("a" * 64, ("/anew.pdf",), 1, "1", NOW, 0, "salt", "", 0, 4)
            made.upsert("notes", "text", [text_point(facts, text_vector("salt"), document_vector("salt"))])
            Generations(client).switch("notes", {"text": "next"})
            Generations(client).remove_others("notes", "text")


async def test_a_query_is_asked_again_where_its_collection_is_made_anew_meanwhile(tmp_path: Path):
    with store_in(tmp_path / "data") as settings:
        queue = MakingAnew(Library(tmp_path, settings).settings)
        async with opened(settings, queue) as searches:
            query = SearchQuery("salt", collections=("notes",), mode="text")
            assert await found(searches, query) == [("anew.pdf", 1)]
    assert [job.model for job in queue.done] == [TEXT_MODEL.id, NEXT_TEXT_MODEL.id]


async def test_what_is_not_there_is_said_so(searches: CollectionSearch, library: Library):
    with pytest.raises(UnknownCollection, match="There is: notes, papers"):
        await searches.search(SearchQuery("a", collections=("attic",)))
    with pytest.raises(UnknownModel):
        await searches.search(SearchQuery("red", rerank_model="nobody"))
    with pytest.raises(UnknownDocument):
        await searches.document("papers", "0" * 64)
    with pytest.raises(UnknownDocument, match="3 pages"):
        await searches.page_image(library.page("animals.pdf", 4), 10_000)
    with pytest.raises(UnknownDocument):
        await searches.heatmap(library.page("scan.pdf", 9), "whale")
    with pytest.raises(InvalidInput, match="no images"):
        await searches.heatmap(library.page("kitchen.pdf", 1, "notes"), "salt")


async def test_a_heatmap_is_hot_where_the_word_is(searches: CollectionSearch, library: Library):
    heatmap = await searches.heatmap(library.page("animals.pdf", 2), "bear  cave")
    assert (heatmap.rows, heatmap.columns) == (ROWS, COLUMNS)
    assert [each.text for each in heatmap.maps] == ["bear", "cave"]
    for each, place in zip(heatmap.maps, (1, 2), strict=True):
        grid = np.array(each.grid)
        assert grid.shape == (ROWS, COLUMNS)
        assert grid.argmax() == place
        assert grid.max() == pytest.approx(1, abs=1e-3)


async def test_collections_and_documents_are_listed(searches: CollectionSearch, library: Library):
    notes, papers = await searches.list_collections()
    assert (notes.name, notes.documents, [each.kind for each in notes.parts]) == ("notes", 1, ["text"])
    assert (papers.name, papers.documents) == ("papers", 3)
    assert [(each.kind, each.model, each.points) for each in papers.parts] == [
        ("visual", PAGE_MODEL.id, 7),
        ("text", TEXT_MODEL.id, 5),
    ]
    first = await searches.list_documents("papers", limit=2)
    rest = await searches.list_documents("papers", after=first.next, limit=2)
    assert [each.document for each in (*first.documents, *rest.documents)] == sorted(library.ids.values())
    assert rest.next is None
    found = {Path(each.paths[0]).name: each for each in (*first.documents, *rest.documents)}
    assert {name: each.pages for name, each in found.items()} == {
        name: len(pages) for name, pages in PAGES.items()
    }
    assert found["scan.pdf"].kinds == ("visual",)


async def test_a_page_is_shown_with_its_words(searches: CollectionSearch, library: Library):
    page = library.page("kitchen.pdf", 1)
    image = Image.open(io.BytesIO(await searches.page_image(page, 50_000)))
    assert image.width < image.height
    assert image.width * image.height <= 50_000
    assert await searches.page_image(page, 50_000) == await searches.page_image(page, 50_000)
    words = await searches.page_words(page, "FLOUR")
    assert [(each.text, each.matches) for each in words] == [("salt", False), ("and", False), ("flour", True)]
    text = await searches.page_text(page)
    assert (text.text.strip(), text.has_image) == ("salt and flour", True)
    assert await searches.file("papers", page.document) == library.paths["kitchen.pdf"]


async def test_a_file_with_other_content_is_not_shown(
    searches: CollectionSearch, library: Library, tmp_path: Path
):
    page, path = library.page("animals.pdf", 1), library.paths["animals.pdf"]
    shown = await searches.page_image(page, 10_000)
    path.rename(tmp_path / "away")
    try:
        path.write_bytes(text_pdf("another document"))
        for asking in (
            searches.page_image(page, 10_000),
            searches.page_words(page),
            searches.page_text(page),
        ):
            with pytest.raises(DocumentGone, match="other content"):
                await asking
    finally:
        (tmp_path / "away").replace(path)
    assert await searches.page_image(page, 10_000) == shown
