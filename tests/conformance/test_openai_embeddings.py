"""What OpenAI's own client sees of a working service, whatever does the work behind it."""

import base64
import math
import struct

import openai
import pytest

from jobs.models import ModelInfo

TEXTS = ["A man is eating food.", "Someone has a meal.", "The rocket left the pad."]


def test_floats_are_unit_vectors_of_the_models_size(client: openai.OpenAI, model: ModelInfo):
    reply = client.embeddings.create(model=model.id, input=TEXTS[0], encoding_format="float")
    vector = reply.data[0].embedding
    assert len(vector) == model.dimensions
    assert math.isclose(math.hypot(*vector), 1, rel_tol=1e-3)


def test_the_clients_default_encoding_gives_the_same_floats(client: openai.OpenAI, model: ModelInfo):
    # Unasked, the client requests base64 and decodes it by itself.
    floats = client.embeddings.create(model=model.id, input=TEXTS[0], encoding_format="float")
    default = client.embeddings.create(model=model.id, input=TEXTS[0])
    assert list(default.data[0].embedding) == pytest.approx(floats.data[0].embedding, abs=1e-5)


def test_base64_is_passed_on_when_asked_for(client: openai.OpenAI, model: ModelInfo):
    reply = client.embeddings.create(model=model.id, input=TEXTS[0], encoding_format="base64")
    raw = base64.b64decode(str(reply.data[0].embedding))
    assert len(struct.unpack(f"<{model.dimensions}f", raw)) == model.dimensions


def test_a_batch_comes_back_in_order(client: openai.OpenAI, model: ModelInfo):
    together = client.embeddings.create(model=model.id, input=TEXTS)
    assert [item.index for item in together.data] == [0, 1, 2]
    for text, item in zip(TEXTS, together.data, strict=True):
        alone = client.embeddings.create(model=model.id, input=text)
        assert list(item.embedding) == pytest.approx(alone.data[0].embedding, abs=1e-4)


def test_token_ids_are_embedded(client: openai.OpenAI, model: ModelInfo):
    one = client.embeddings.create(model=model.id, input=[2023, 2003, 1037])
    many = client.embeddings.create(model=model.id, input=[[2023, 2003], [1037]])
    assert len(one.data) == 1
    assert len(many.data) == 2


def test_usage_counts_tokens(client: openai.OpenAI, model: ModelInfo):
    one = client.embeddings.create(model=model.id, input=TEXTS[:1]).usage
    two = client.embeddings.create(model=model.id, input=TEXTS[:2]).usage
    assert one.prompt_tokens == one.total_tokens
    assert 0 < one.prompt_tokens < two.prompt_tokens


def test_a_forbidden_cut_is_a_bad_request(client: openai.OpenAI, model: ModelInfo):
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model=model.id, input="a", dimensions=7)
    assert caught.value.param == "dimensions"


def test_an_empty_input_is_a_bad_request(client: openai.OpenAI, model: ModelInfo):
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model=model.id, input=[])
    assert caught.value.param == "input"
    assert caught.value.type == "invalid_request_error"


def test_an_unknown_model_is_not_found(client: openai.OpenAI, model: ModelInfo):
    with pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model="no-such-model", input="a")
    assert caught.value.code == "model_not_found"
    assert model.id in caught.value.message


def owner_of(name: str) -> str:
    return "org" if name.startswith("org/") else "sentence-transformers"


def test_models_are_listed_and_retrieved(client: openai.OpenAI, model: ModelInfo):
    assert model.id in [found.id for found in client.models.list()]
    found = client.models.retrieve(model.id)
    assert (found.id, found.object, found.owned_by) == (model.id, "model", owner_of(model.id))


def test_an_unknown_model_cannot_be_retrieved(client: openai.OpenAI):
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


async def test_the_asynchronous_client_works_the_same(base_url: str, model: ModelInfo):
    async with openai.AsyncOpenAI(base_url=f"{base_url}/v1", api_key="unused") as client:
        reply = await client.embeddings.create(model=model.id, input=TEXTS)
    assert len(reply.data) == 3
