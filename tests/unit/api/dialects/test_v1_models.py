"""/v1/models in the form of each caller's dialect, read by the clients themselves."""

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import cohere
import cohere.errors
import httpx
import httpx2
import msgspec
import pytest

from api.app import create_app
from jobs.models import ModelInfo
from jobs.settings import Settings
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL

OLDER = msgspec.structs.replace(CHAT_MODEL, id="org/older", created=1_600_000_000, abilities=())
DECLARED = ModelInfo(id="org/declared", task="generate", created=0, dimensions=0, max_tokens=0)
PAGES = ModelInfo(
    id="org/pages", task="embed", created=5, dimensions=8, max_tokens=99, abilities=("multi_vector", "vision")
)


@pytest.fixture
async def queue() -> MemoryQueue:
    return MemoryQueue(models=(MODEL, DECLARED, OLDER, CHAT_MODEL, RERANK_MODEL))


@pytest.fixture
async def claude(queue: MemoryQueue) -> AsyncIterator[anthropic.AsyncAnthropic]:
    transport = httpx2.ASGITransport(create_app(queue, Settings()))
    async with anthropic.AsyncAnthropic(
        base_url="http://mlxq",
        api_key="none",
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=transport),
    ) as client:
        yield client


def commanded(queue: MemoryQueue) -> cohere.AsyncClientV2:
    http = httpx.AsyncClient(transport=httpx.ASGITransport(create_app(queue, Settings())))
    return cohere.AsyncClientV2("none", base_url="http://mlxq", httpx_client=http)


async def test_anthropics_clients_get_the_models_that_answer_messages_newest_first(
    claude: anthropic.AsyncAnthropic,
):
    page = await claude.models.list()
    assert [model.id for model in page.data] == [CHAT_MODEL.id, OLDER.id, DECLARED.id]
    assert (page.first_id, page.last_id, page.has_more) == (CHAT_MODEL.id, DECLARED.id, False)
    newest, older, declared = page.data
    assert (newest.type, newest.display_name, newest.lifecycle) == ("model", CHAT_MODEL.id, "active")
    assert newest.created_at.timestamp() == CHAT_MODEL.created
    assert newest.max_input_tokens == newest.max_tokens == CHAT_MODEL.max_tokens
    assert declared.max_input_tokens is declared.max_tokens is None
    for model, sees in ((newest, True), (older, False)):
        assert model.capabilities
        assert model.capabilities.image_input.supported == sees
        assert (
            model.capabilities.thinking.supported
            == model.capabilities.thinking.types.enabled.supported
            == sees
        )
        assert model.capabilities.structured_outputs.supported and not model.capabilities.batch.supported
        type(model).model_validate(model.model_dump(), strict=True)


async def test_anthropics_clients_turn_the_pages(claude: anthropic.AsyncAnthropic):
    assert [model.id async for model in claude.models.list(limit=1)] == [CHAT_MODEL.id, OLDER.id, DECLARED.id]
    last = await claude.models.list(before_id=DECLARED.id, limit=1)
    assert ([model.id for model in last.data], last.has_more) == ([OLDER.id], True)
    behind = await claude.models.list(after_id=OLDER.id)
    assert ([model.id for model in behind.data], behind.has_more) == ([DECLARED.id], False)
    assert (await claude.models.list(lifecycle=["retired"])).data == []
    assert len((await claude.models.list(lifecycle=["active", "retired"])).data) == 3


async def test_anthropics_clients_get_one_model(claude: anthropic.AsyncAnthropic):
    assert (await claude.models.retrieve(CHAT_MODEL.id)).id == CHAT_MODEL.id
    for name in ("other", MODEL.id):
        with pytest.raises(anthropic.NotFoundError) as caught:
            await claude.models.retrieve(name)
        assert caught.value.body == {
            "type": "error",
            "error": {"type": "not_found_error", "message": caught.value.body["error"]["message"]},  # pyright: ignore
        }


async def test_a_page_that_is_none_is_refused_in_anthropics_form(claude: anthropic.AsyncAnthropic):
    wrongs: list[dict[str, Any]] = [
        {"limit": 0},
        {"after_id": "other"},
        {"after_id": OLDER.id, "before_id": OLDER.id},
    ]
    for wrong in wrongs:
        with pytest.raises(anthropic.BadRequestError) as caught:
            await claude.models.list(**wrong)
        assert next(iter(wrong)) in str(caught.value) and "invalid_request_error" in str(caught.value)


async def test_coheres_clients_get_the_endpoints_of_each_model(queue: MemoryQueue):
    found = (await commanded(queue).models.list()).models
    assert [(model.name, model.endpoints) for model in found] == [
        (MODEL.id, ["embed"]),
        (DECLARED.id, ["chat"]),
        (OLDER.id, ["chat"]),
        (CHAT_MODEL.id, ["chat"]),
        (RERANK_MODEL.id, ["rerank"]),
    ]
    chat = found[3]
    assert chat.context_length == CHAT_MODEL.max_tokens and chat.is_deprecated is chat.finetuned is False
    assert chat.features and {"json_schema", "tools", "vision", "reasoning"} <= set(chat.features)
    type(chat).model_validate(chat.model_dump(), strict=True)
    assert await commanded(queue).models.get(CHAT_MODEL.id) == chat


async def test_coheres_clients_choose_models_and_turn_pages(queue: MemoryQueue):
    models = commanded(queue).models
    assert [each.name for each in (await models.list(endpoint="rerank")).models] == [RERANK_MODEL.id]
    assert (await models.list(endpoint="classify")).models == []
    first = await models.list(endpoint="chat", page_size=2)
    assert [each.name for each in first.models] == [DECLARED.id, OLDER.id]
    second = await models.list(endpoint="chat", page_size=2, page_token=first.next_page_token)
    assert ([each.name for each in second.models], second.next_page_token) == ([CHAT_MODEL.id], None)
    sole = await models.list(endpoint="embed", default_only=True)
    assert [each.name for each in sole.models] == [MODEL.id]
    two = commanded(MemoryQueue(models=(MODEL, PAGES))).models
    assert (await two.list(endpoint="embed", default_only=True)).models == []
    assert [each.name for each in (await two.list(endpoint="rerank")).models] == [PAGES.id]


async def test_coheres_clients_read_the_message_of_an_error(queue: MemoryQueue):
    models = commanded(queue).models
    with pytest.raises(cohere.errors.NotFoundError) as unknown:
        await models.get("other")
    assert list(unknown.value.body) == ["message"]
    for wrong in ({"page_token": "x"}, {"page_size": 0}, {"default_only": True}, {"endpoint": "speak"}):
        with pytest.raises(cohere.errors.BadRequestError) as refused:
            await models.list(**wrong)  # pyright: ignore[reportArgumentType]
        assert next(iter(wrong)) in refused.value.body["message"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("path", "headers", "keys"),
    [
        ("/v1/classify", {"user-agent": "cohere/5"}, {"message"}),
        ("/v1/skills", {"anthropic-version": "2023-06-01"}, {"type", "error"}),
        ("/v1/messages/batches", {}, {"type", "error"}),
        ("/v1/messages/batches/msgbatch_1/results", {}, {"type", "error"}),
        ("/v2/other", {}, {"message"}),
        ("/v1/other", {}, {"error"}),
    ],
)
async def test_an_unknown_path_is_answered_in_the_callers_dialect(
    queue: MemoryQueue, method: str, path: str, headers: dict[str, str], keys: set[str]
):
    transport = httpx.ASGITransport(create_app(queue, Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://mlxq") as client:
        reply = await client.request(method, path, headers=headers)
    assert (reply.status_code, set(reply.json())) == (404, keys)


async def test_a_method_that_is_none_is_answered_in_anthropics_form(queue: MemoryQueue):
    transport = httpx.ASGITransport(create_app(queue, Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://mlxq") as client:
        replies = [await client.get("/v1/messages"), await client.delete("/v1/messages/count_tokens")]
    assert [(each.status_code, each.json()["type"]) for each in replies] == [(405, "error")] * 2
