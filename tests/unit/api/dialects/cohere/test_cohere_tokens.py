"""Cohere's /v1/tokenize and /v1/detokenize, as its own client sees them."""

import cohere
import cohere.errors
import httpx
import pytest

from api.app import create_app
from jobs.errors import NoWorker
from jobs.settings import Settings
from jobs.tokenize import DetokenizeJob, TokenizeJob
from tests.support.memory.tokens import CLS, FOX, RED, A
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue


def client_of(queue: MemoryQueue) -> cohere.AsyncClientV2:
    http = httpx.AsyncClient(transport=httpx.ASGITransport(create_app(queue, Settings())))
    return cohere.AsyncClientV2("none", base_url="http://mlxq", httpx_client=http)


@pytest.mark.parametrize("offline", [True, False])
@pytest.mark.parametrize(("model", "task"), [(MODEL.id, "embed"), (CHAT_MODEL.id, "generate")])
async def test_a_text_has_its_tokens_and_no_special_ones(
    generator: MemoryQueue, model: str, task: str, offline: bool
):
    found = await client_of(generator).tokenize(text="a red é", model=model, offline=offline)
    type(found).model_validate(found.model_dump(), strict=True)
    assert found.tokens[:2] == [A, RED]
    assert found.token_strings == ["a", "red", "\ufffd"]
    assert found.meta and found.meta.api_version and found.meta.api_version.version == "1"
    job = generator.submitted[-1][0]
    assert job == TokenizeJob(model, task, ("a red é",), add_special_tokens=False, detailed=True)


async def test_tokens_become_a_text(generator: MemoryQueue):
    found = await client_of(generator).detokenize(tokens=[CLS, RED, FOX], model=MODEL.id)
    type(found).model_validate(found.model_dump(), strict=True)
    assert found.text == "[CLS] red fox"
    assert generator.submitted[-1][0] == DetokenizeJob(MODEL.id, "embed", ((CLS, RED, FOX),))


async def test_errors_are_the_clients_own(generator: MemoryQueue):
    co = client_of(generator)
    with pytest.raises(cohere.errors.BadRequestError, match="text is empty"):
        await co.tokenize(text="", model=MODEL.id, offline=False)
    with pytest.raises(cohere.errors.BadRequestError, match="tokens is empty"):
        await co.detokenize(tokens=[], model=MODEL.id, offline=False)
    with pytest.raises(cohere.errors.BadRequestError, match="tokens"):
        await co.detokenize(tokens=[-1], model=MODEL.id, offline=False)
    with pytest.raises(cohere.errors.NotFoundError):
        await co.tokenize(text="a", model="other", offline=False)
    away = client_of(MemoryQueue(failure=NoWorker()))
    with pytest.raises(cohere.errors.ServiceUnavailableError) as raised:
        await away.tokenize(text="a", model=MODEL.id, offline=False, request_options={"max_retries": 0})
    assert raised.value.body == {"message": NoWorker().message}
