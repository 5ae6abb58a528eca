"""What OpenAI's own client sees of collections."""

from collections.abc import Iterator

import openai
import pytest

from jobs.search.errors import CollectionBusy, DocumentGone, StoreUnavailable
from jobs.search.query import PageFilter
from tests.conformance.conftest import Serve
from tests.support.memory_queue import MemoryQueue
from tests.support.vectors.memory_collections import DOCUMENTS, MemoryCollections

CATS = DOCUMENTS[1]


@pytest.fixture
def collections() -> MemoryCollections:
    return MemoryCollections()


@pytest.fixture
def client(serve: Serve, collections: MemoryCollections) -> Iterator[openai.OpenAI]:
    url = serve(MemoryQueue(), collections)
    with openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def test_a_search_gives_chunks_with_their_file_and_page(client: openai.OpenAI):
    found = client.vector_stores.search("documents", query="cats dogs", max_num_results=2)
    best = found.data[0]
    assert (best.file_id, best.filename) == (CATS.id, "cats & dogs.pdf")
    assert best.attributes == {"path": CATS.path, "page": 2, "label": "p. 2"}
    assert best.content[0].text == CATS.pages[1]
    assert best.score > found.data[1].score


def test_filters_ranking_and_limits_are_asked_of_the_collection(
    client: openai.OpenAI, collections: MemoryCollections
):
    client.vector_stores.search(
        "documents",
        query=["cats", "dogs"],
        max_num_results=7,
        filters={
            "type": "and",
            "filters": [
                {"type": "in", "key": "document", "value": [CATS.id, "other"]},
                {"type": "eq", "key": "path", "value": "/docs/*"},
                {"type": "gt", "key": "page", "value": 1},
                {"type": "lte", "key": "page", "value": 5},
            ],
        },
        ranking_options={"ranker": "org/reranker", "score_threshold": 0.25},  # pyright: ignore[reportArgumentType]
    )
    [asked] = collections.asked
    assert (asked.text, asked.collections, asked.limit) == ("cats\ndogs", ("documents",), 7)
    assert asked.filter == PageFilter((CATS.id, "other"), ("/docs/*",), 2, 5)
    assert (asked.rerank_model, asked.min_score) == ("org/reranker", 0.25)


def test_the_clients_own_ranker_orders_nothing_anew(client: openai.OpenAI, collections: MemoryCollections):
    client.vector_stores.search(
        "documents", query="a", ranking_options={"ranker": "auto", "score_threshold": 0}
    )
    assert (collections.asked[0].rerank_model, collections.asked[0].min_score) == ("", None)


@pytest.mark.parametrize(
    "filters",
    [
        {"type": "or", "filters": [{"type": "eq", "key": "page", "value": 1}]},
        {"type": "ne", "key": "document", "value": "a"},
        {"type": "eq", "key": "colour", "value": "red"},
        {"type": "eq", "key": "page", "value": "one"},
        {"type": "eq", "key": "path", "value": 1},
        {"type": "eq", "key": "path"},
    ],
)
def test_filters_that_cannot_be_asked_are_a_bad_request(client: openai.OpenAI, filters: dict[str, object]):
    with pytest.raises(openai.BadRequestError) as caught:
        client.vector_stores.search("documents", query="a", filters=filters)  # pyright: ignore[reportArgumentType]
    assert caught.value.param == "filters"


def test_a_rewritten_query_is_a_bad_request(client: openai.OpenAI):
    with pytest.raises(openai.BadRequestError, match="as they are"):
        client.vector_stores.search("documents", query="a", rewrite_query=True)


def test_stores_and_their_files_are_listed_page_by_page(client: openai.OpenAI):
    assert [each.id for each in client.vector_stores.list(limit=1)] == ["documents", "notes"]
    store = client.vector_stores.retrieve("documents")
    assert (store.name, store.status, store.file_counts.completed) == ("documents", "completed", 2)
    files = list(client.vector_stores.files.list("documents", limit=1))
    assert [each.id for each in files] == sorted(each.id for each in DOCUMENTS[:2])
    one = client.vector_stores.files.retrieve(CATS.id, vector_store_id="documents")
    assert one.attributes == {"path": CATS.path, "filename": "cats & dogs.pdf", "pages": 3}


def test_the_text_of_a_file_is_read_page_by_page(client: openai.OpenAI):
    found = client.vector_stores.files.content(CATS.id, vector_store_id="documents")
    assert [(each.type, each.text) for each in found] == [("text", text) for text in CATS.pages]


def test_a_file_that_has_gone_says_what_to_do(client: openai.OpenAI, collections: MemoryCollections):
    collections.failure = DocumentGone()
    with pytest.raises(openai.APIStatusError, match="mlxq ingest") as caught:
        client.vector_stores.files.content(CATS.id, vector_store_id="documents")
    assert caught.value.status_code == 410


def test_a_file_leaves_its_store_and_a_store_goes(client: openai.OpenAI):
    gone = client.vector_stores.files.delete(CATS.id, vector_store_id="documents")
    assert (gone.id, gone.deleted, gone.object) == (CATS.id, True, "vector_store.file.deleted")
    assert CATS.id not in [each.id for each in client.vector_stores.files.list("documents")]
    store = client.vector_stores.delete("notes")
    assert (store.id, store.deleted, store.object) == ("notes", True, "vector_store.deleted")
    assert [each.id for each in client.vector_stores.list()] == ["documents"]


def test_a_store_that_an_ingest_writes_into_is_kept_until_later(
    client: openai.OpenAI, collections: MemoryCollections
):
    collections.failure = CollectionBusy()
    with pytest.raises(openai.ConflictError, match="Wait for its end"):
        client.vector_stores.delete("documents")


def test_what_is_not_there_is_not_found(client: openai.OpenAI):
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.retrieve("attic")
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.search("attic", query="a")
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.files.retrieve("0" * 64, vector_store_id="documents")
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.files.content("0" * 64, vector_store_id="documents")
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.files.delete("0" * 64, vector_store_id="documents")
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.delete("attic")


def test_what_comes_in_by_ingest_alone_is_a_bad_request_that_says_so(client: openai.OpenAI):
    for asking in (
        lambda: client.vector_stores.create(name="new"),
        lambda: client.vector_stores.update("documents", name="new"),
        lambda: client.vector_stores.files.create("documents", file_id=CATS.id),
        lambda: client.vector_stores.files.update(
            CATS.id, vector_store_id="documents", attributes={"a": "b"}
        ),
        lambda: client.vector_stores.file_batches.create("documents", file_ids=[CATS.id]),
        lambda: client.files.create(file=("a.txt", b"text"), purpose="assistants"),
    ):
        with pytest.raises(openai.BadRequestError, match="mlxq ingest"):
            asking()


def test_without_a_store_the_error_says_what_to_start(client: openai.OpenAI, collections: MemoryCollections):
    collections.failure = StoreUnavailable()
    with pytest.raises(openai.InternalServerError, match="mlxq up") as caught:
        client.vector_stores.search("documents", query="a")
    assert caught.value.status_code == 503
