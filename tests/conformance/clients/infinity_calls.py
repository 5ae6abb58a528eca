"""infinity's own client: made from its OpenAPI document, and the one for images."""

from http import HTTPStatus
from typing import Any

import pytest
from infinity_client import Client
from infinity_client.api.default import embeddings, embeddings_image, health, models, rerank
from infinity_client.errors import UnexpectedStatus
from infinity_client.models import (
    ImageEmbeddingInput,
    OpenAIEmbeddingInputText,
    OpenAIEmbeddingResult,
    OpenAIModelInfo,
    RerankInput,
    ReRankResult,
)
from infinity_client.vision_client import InfinityVisionAPI
from PIL import Image

from tests.conformance.clients import script
from tests.conformance.clients.script import CHAT, EMBEDDER, PAGES, RERANKER


@pytest.fixture
def client(url: str) -> Client:
    return Client(url, raise_on_unexpected_status=True)


def texts(**more: Any) -> OpenAIEmbeddingInputText:
    return OpenAIEmbeddingInputText(**{"input_": ["one", "two three"], "model": EMBEDDER, **more})


async def test_texts_are_embedded(client: Client):
    found = embeddings.sync(client=client, body=texts())
    assert isinstance(found, OpenAIEmbeddingResult)
    assert [len(each.embedding) for each in found.data] == [script.SIZE] * 2
    assert (found.model, found.usage.prompt_tokens) == (EMBEDDER, 3)
    again = await embeddings.asyncio(client=client, body=texts())
    assert [each.embedding for each in again.data] == [each.embedding for each in found.data]


def test_images_are_embedded_as_several_vectors(url: str, client: Client):
    found = embeddings_image.sync(
        client=client, body=ImageEmbeddingInput(input_=[f"data:image/png;base64,{script.PIXEL}"], model=PAGES)
    )
    assert isinstance(found, OpenAIEmbeddingResult) and len(found.data) == 1
    vision = InfinityVisionAPI(url, model=PAGES)
    vectors, tokens = vision.image_embed(PAGES, [Image.new("RGB", (28, 28))]).result()
    assert vectors[0].shape[1] == vision.hidden_dim and tokens > 0
    vectors, _ = vision.embed(PAGES, ["one two"]).result()
    assert vectors[0].shape == (2, vision.hidden_dim)


@pytest.mark.parametrize("more", [{}, {"top_n": 2}, {"raw_scores": True}, {"return_documents": True}])
def test_documents_are_ranked(client: Client, more: dict[str, Any]):
    body = RerankInput(query=script.QUERY, documents=script.DOCUMENTS, model=RERANKER, **more)
    found = rerank.sync(client=client, body=body)
    assert isinstance(found, ReRankResult)
    wanted = [index for index, _ in script.RANKING][: more.get("top_n")]
    assert [each.index for each in found.results] == wanted
    assert found.usage.total_tokens > 0


def test_one_model_of_a_kind_need_not_be_named(sole_url: str):
    client = Client(sole_url, raise_on_unexpected_status=True)
    ranked = rerank.sync(client=client, body=RerankInput(query=script.QUERY, documents=script.DOCUMENTS))
    assert [each.index for each in ranked.results] == [index for index, _ in script.RANKING]
    found = embeddings.sync(client=client, body=OpenAIEmbeddingInputText(input_="one"))
    assert len(found.data[0].embedding) == script.SIZE


def test_models_are_listed_with_figures_and_the_server_is_well(client: Client):
    found = models.sync(client=client)
    assert isinstance(found, OpenAIModelInfo)
    [chat] = [each for each in found.data if each.id == CHAT]
    assert chat.stats["queue_absolute"] == 0
    assert health.sync_detailed(client=client).status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    ("model", "status", "said"),
    [
        (script.UNKNOWN, 404, "none"),
        (script.full(EMBEDDER), 429, "queue is full"),
        (script.broken(EMBEDDER), 500, "Internal error"),
        (RERANKER, 400, "rerank"),
    ],
)
def test_an_error_has_its_status_and_its_message(client: Client, model: str, status: int, said: str):
    with pytest.raises(UnexpectedStatus, match=said) as raised:
        embeddings.sync(client=client, body=texts(model=model))
    assert raised.value.status_code == status
