"""Voyage AI's client."""

import pytest
import voyageai
from PIL import Image
from voyageai import error

from tests.conformance.clients import script
from tests.conformance.clients.script import EMBEDDER, RERANKER


@pytest.fixture
def client(url: str) -> voyageai.Client:
    return voyageai.Client(api_key="unused", base_url=f"{url}/v1", max_retries=0)


@pytest.fixture
def asynchronous(url: str) -> voyageai.AsyncClient:
    return voyageai.AsyncClient(api_key="unused", base_url=f"{url}/v1", max_retries=0)


@pytest.mark.parametrize("input_type", [None, "query", "document"])
def test_texts_are_embedded(client: voyageai.Client, input_type: str | None):
    found = client.embed(["one", "two three"], model=EMBEDDER, input_type=input_type)
    assert [len(vector) for vector in found.embeddings] == [script.SIZE] * 2
    assert all(isinstance(value, float) for value in found.embeddings[0])
    assert found.total_tokens == 3


@pytest.mark.parametrize(
    ("dtype", "size"), [("float", 384), ("int8", 384), ("uint8", 384), ("binary", 48), ("ubinary", 48)]
)
def test_vectors_come_in_each_type(client: voyageai.Client, dtype: str, size: int):
    [vector] = client.embed(["one"], model=EMBEDDER, output_dtype=dtype).embeddings
    assert len(vector) == size
    low, high = {"int8": (-128, 127), "binary": (-128, 127), "float": (-1, 1)}.get(dtype, (0, 255))
    assert all(low <= value <= high for value in vector)


def test_an_overlong_text_is_cut_unless_that_is_not_wanted(client: voyageai.Client):
    client.embed(["word " * 20], model=EMBEDDER, truncation=False)
    client.rerank(script.QUERY, [script.TOO_LONG], model=RERANKER)
    with pytest.raises(error.InvalidRequestError, match="long"):
        client.rerank(script.QUERY, [script.TOO_LONG], model=RERANKER, truncation=False)


def test_documents_are_ranked(client: voyageai.Client):
    found = client.rerank(script.QUERY, script.DOCUMENTS, model=RERANKER)
    assert [(each.index, each.relevance_score) for each in found.results] == script.RANKING
    assert [each.document for each in found.results] == [
        script.DOCUMENTS[index] for index, _ in script.RANKING
    ]
    assert found.total_tokens > 0
    few = client.rerank(script.QUERY, script.DOCUMENTS, model=RERANKER, top_k=1)
    assert [each.index for each in few.results] == [1]


async def test_the_asynchronous_client_gets_the_same(
    client: voyageai.Client, asynchronous: voyageai.AsyncClient
):
    vectors = (await asynchronous.embed(["one"], model=EMBEDDER)).embeddings
    assert vectors == client.embed(["one"], model=EMBEDDER).embeddings
    ranking = (await asynchronous.rerank(script.QUERY, script.DOCUMENTS, model=RERANKER)).results
    assert [(each.index, each.relevance_score) for each in ranking] == script.RANKING


CASES = {
    "an unknown model": (
        lambda client: client.embed(["one"], model=script.UNKNOWN),
        error.VoyageError,
        "none",
    ),
    "an unknown reranker": (
        lambda client: client.rerank("a", ["b"], model=script.UNKNOWN),
        error.VoyageError,
        "none",
    ),
    "nothing to embed": (lambda client: client.embed([], model=EMBEDDER), error.InvalidRequestError, "input"),
    "an empty text": (lambda client: client.embed([""], model=EMBEDDER), error.InvalidRequestError, "input"),
    "a wrong type": (
        lambda client: client.embed(["one"], model=EMBEDDER, output_dtype="float8"),
        error.InvalidRequestError,
        "output_dtype",
    ),
    "nothing to rank": (
        lambda client: client.rerank("a", [], model=RERANKER),
        error.InvalidRequestError,
        "documents",
    ),
    "a full queue": (
        lambda client: client.embed(["one"], model=script.full(EMBEDDER)),
        error.RateLimitError,
        "queue is full",
    ),
    "a full queue of a reranker": (
        lambda client: client.rerank("a", ["b"], model=script.full(RERANKER)),
        error.RateLimitError,
        "queue is full",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_error_is_the_clients_own_and_says_what_is_wrong(client: voyageai.Client, case: str):
    call, kind, said = CASES[case]
    with pytest.raises(kind, match=said) as raised:
        call(client)
    assert "Invalid response object" not in str(raised.value)


def test_a_picture_is_refused_by_a_model_of_texts_in_words(client: voyageai.Client):
    with pytest.raises(error.VoyageError):
        client.multimodal_embed([["what?", Image.new("RGB", (2, 2))]], model=EMBEDDER)
