import httpx
import msgspec

from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, PAGE_MODEL, MemoryQueue
from tests.unit.api.conftest import Connect


async def test_models_are_listed_with_what_a_caller_must_know(client: httpx.AsyncClient):
    reply = (await client.get("/v1/models")).json()
    assert reply == {
        "object": "list",
        "data": [
            {
                "id": "org/model",
                "object": "model",
                "created": 1_700_000_000,
                "owned_by": "org",
                "task": "embed",
                "dimensions": 384,
                "min_dimensions": None,
                "max_tokens": 256,
                "prompts": [],
                "abilities": [],
                "tasks": ["embed"],
                "context_length": 256,
                "loaded": True,
            }
        ],
    }


async def test_a_model_tells_whose_it_is_what_it_does_and_whether_it_is_in_memory(connect: Connect):
    local = msgspec.structs.replace(CHAT_MODEL, id="chat")
    alias = msgspec.structs.replace(PAGE_MODEL, id="pages", hub_name="vidore/colqwen")
    queue = MemoryQueue(models=(local, alias))
    queue.loaded.pop("pages")
    found = (await connect(queue).get("/v1/models")).json()["data"]
    assert [(each["owned_by"], each["tasks"], each["loaded"]) for each in found] == [
        ("mlxq", ["generate"], True),
        ("vidore", ["embed", "rerank"], False),
    ]


async def test_a_model_is_found_though_its_id_has_a_slash(client: httpx.AsyncClient):
    listed = (await client.get("/v1/models")).json()["data"][0]
    assert (await client.get(f"/v1/models/{MODEL.id}")).json() == listed
    assert (await client.get("/v1/models/org%2Fmodel")).json() == listed


async def test_an_unknown_model_is_answered_with_what_there_is(client: httpx.AsyncClient):
    reply = await client.get("/v1/models/other")
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "model_not_found"
    assert MODEL.id in reply.json()["error"]["message"]


async def test_a_model_cannot_be_looked_up_before_a_worker_came(connect: Connect):
    client = connect(MemoryQueue(models=()))
    assert (await client.get("/v1/models")).json()["data"] == []
    assert (await client.get("/v1/models/any")).json()["error"]["code"] == "no_worker"


async def test_a_generators_abilities_are_listed(connect: Connect):
    client = connect(MemoryQueue(models=(CHAT_MODEL,)))
    reply = (await client.get(f"/v1/models/{CHAT_MODEL.id}")).json()
    assert (reply["task"], reply["abilities"]) == ("generate", ["vision", "tools", "reasoning"])
