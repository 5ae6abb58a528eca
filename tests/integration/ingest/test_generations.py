"""A collection's vectors made anew beside those that are searched, in the embedded store."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from ingest.collections.collections import Collections
from ingest.collections.contents import Contents
from ingest.collections.generations import Generations, generation_of, generations
from ingest.qdrant.connect import connect, connect_async
from ingest.qdrant.embedded_writer import EmbeddedWriter
from ingest.store.app import StoreApp
from ingest.store.catalog import Catalog
from jobs.settings import Settings
from tests.support.vectors.documents import COLSMALL, DIMENSION, MINILM, chunk, page, store_in
from tests.support.vectors.qdrant_api import Recorder
from tests.support.vectors.store import client_of, serving

NEXT, THIRD = generation_of(COLSMALL), "third"
"""Of the text half: its maker is another one, whichever."""


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with store_in(tmp_path) as settings:
        yield settings


@pytest.fixture
def client(settings: Settings) -> Iterator[QdrantClient]:
    with contextlib.closing(connect(settings)) as client:
        yield client


@pytest.fixture
def writer(settings: Settings) -> Iterator[EmbeddedWriter]:
    with contextlib.closing(EmbeddedWriter(settings)) as writer:
        yield writer


@pytest.fixture
async def contents(settings: Settings) -> AsyncIterator[Contents]:
    client = connect_async(settings)
    yield Contents(client)
    await client.close()


def first(client: QdrantClient, writer: EmbeddedWriter) -> Collections:
    """With two chunks of each of two documents, and a page."""
    collections = Collections(client, writer)
    collections.ensure("papers", "text", DIMENSION, MINILM)
    collections.upsert("papers", "text", [chunk(each, n) for each in "ab" for n in (0, 1)])
    collections.ensure("papers", "visual", DIMENSION, COLSMALL)
    collections.upsert("papers", "visual", [page("a", 1)])
    return collections


def anew(client: QdrantClient, writer: EmbeddedWriter, generation: str = NEXT) -> Collections:
    """The text half made anew, with a document more."""
    collections = Collections(client, writer, {"text": generation})
    collections.ensure("papers", "text", DIMENSION, COLSMALL)
    collections.upsert("papers", "text", [chunk(each, n) for each in "abc" for n in (0, 1)])
    return collections


def names(client: QdrantClient) -> set[str]:
    return {each.name for each in client.get_collections().collections}


async def test_what_is_being_made_is_not_seen_and_then_is_all_there_is(
    client: QdrantClient, writer: EmbeddedWriter, contents: Contents
):
    collections = first(client, writer)
    anew(client, writer)
    assert collections.names() == {"papers": ("visual", "text")}
    assert collections.fingerprint("papers", "text") == MINILM
    _, text = (await contents.parts())["papers"]
    assert (text.maker, text.points, text.stored) == (MINILM, 4, "papers-text")

    Generations(client).switch("papers", {"text": NEXT})
    assert collections.fingerprint("papers", "text") == COLSMALL
    visual, text = (await contents.parts())["papers"]
    assert (text.maker, text.points, text.stored) == (COLSMALL, 6, f"papers-text@{NEXT}")
    assert visual.stored == "papers-visual"

    assert Generations(client).remove_others("papers", "text") == ["papers-text"]
    assert names(client) == {f"papers-text@{NEXT}", "papers-visual"}
    assert client.count("papers-text").count == 6  # by the name that other programs know
    assert Generations(client).remove_others("papers", "text") == []


def test_the_next_one_takes_over_from_one_that_took_over(client: QdrantClient, writer: EmbeddedWriter):
    collections = first(client, writer)
    anew(client, writer)
    Generations(client).switch("papers", {"text": NEXT})
    Generations(client).remove_others("papers", "text")
    anew(client, writer, THIRD)
    Generations(client).switch("papers", {"text": THIRD})
    assert [each.document for each in collections.documents("papers", "text")]
    assert names(client) == {f"papers-text@{NEXT}", f"papers-text@{THIRD}", "papers-visual"}
    assert Generations(client).remove_others("papers", "text") == [f"papers-text@{NEXT}"]
    assert {each.alias_name for each in client.get_collection_aliases(f"papers-text@{THIRD}").aliases} == {
        "papers-text",
        "papers-text@current",
    }


def test_a_collection_whose_name_begins_like_a_generation_is_none(
    client: QdrantClient, writer: EmbeddedWriter
):
    collections = first(client, writer)
    collections.ensure("papers-text@archive", "text", DIMENSION, MINILM)
    anew(client, writer)

    assert set(generations(client, "papers", "text")) == {"papers-text", f"papers-text@{NEXT}"}


def test_points_go_where_searches_look(client: QdrantClient, writer: EmbeddedWriter):
    first(client, writer)
    anew(client, writer)
    Generations(client).switch("papers", {"text": NEXT})
    collections = Collections(client, writer)
    collections.ensure("papers", "text", DIMENSION, COLSMALL)
    collections.upsert("papers", "text", [chunk("d", 0)])
    assert (client.count("papers-text").count, client.count(f"papers-text@{NEXT}").count) == (4, 7)


def test_what_a_server_is_asked_for_is_in_its_api_document(tmp_path: Path, writer: EmbeddedWriter):
    recorder = Recorder(StoreApp(Catalog(tmp_path / "server")).app)
    socket = tmp_path / "server.sock"
    with serving(recorder, socket), contextlib.closing(client_of(socket)) as client:
        Collections(client, writer).ensure("papers", "text", DIMENSION, MINILM)
        for generation in (NEXT, THIRD):
            Collections(client, writer, {"text": generation}).ensure("papers", "text", DIMENSION, COLSMALL)
            Generations(client).switch("papers", {"text": generation})
            assert len(Generations(client).remove_others("papers", "text")) == 1
        assert Collections(client, writer).fingerprint("papers", "text") == COLSMALL
    assert recorder.faults == []
    assert ("POST", "/collections/aliases") in recorder.seen


def test_documents_move_and_go_in_all_generations(client: QdrantClient, writer: EmbeddedWriter):
    collections = first(client, writer)
    anew(client, writer)
    collections.remove_documents("papers", ["a"])
    collections.set_paths("papers", "b", ["/elsewhere.pdf"])
    for stored, left in (("papers-text", 2), (f"papers-text@{NEXT}", 4), ("papers-visual", 0)):
        assert client.count(stored).count == left
        records, _ = client.scroll(stored, limit=10)
        moved = [each.payload for each in records if each.payload and each.payload["document"] == "b"]
        assert all(each["paths"] == ["/elsewhere.pdf"] for each in moved)
