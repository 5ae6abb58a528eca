"""Names of models: copied, created and deleted by Ollama's clients, and deleted by OpenAI's."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import httpx2
import ollama
import openai
import pytest
from msgspec.structs import replace

from api.app import create_app
from api.dialects.ollama.names import checked_parameters
from jobs.catalogue.defaults import ModelDefaults, PresetMessage
from jobs.catalogue.entry import CatalogueEntry
from jobs.errors import InvalidInput
from jobs.machines.commands import CopyModel, CreateModel, Progress, RemoveModel, failed
from jobs.machines.machines import MachineInfo
from jobs.settings import Settings
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue

CHAT = CHAT_MODEL.id
HUB_NAME = "far-org/" + MODEL.id
FAR = replace(MODEL, id="org/far", hub_name="org/far")
SHORT = "far"


@pytest.fixture
async def queue() -> MemoryQueue:
    return MemoryQueue(
        models=(replace(MODEL, hub_name=HUB_NAME), FAR, CHAT_MODEL, replace(CHAT_MODEL, id="poet", of=CHAT))
    )


@pytest.fixture
async def http(queue: MemoryQueue) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(queue, Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.fixture
async def client(http: httpx.AsyncClient) -> ollama.AsyncClient:
    client = ollama.AsyncClient("http://localhost")
    client._client = http  # pyright: ignore[reportPrivateUsage]
    return client


def sent(queue: MemoryQueue) -> Any:
    [(machine, command)] = queue.machines.sent
    assert machine == "memory"
    return command


async def test_the_client_copies_a_model(client: ollama.AsyncClient, queue: MemoryQueue):
    assert (await client.copy(f"{CHAT}:latest", "bard")).status == "success"
    assert sent(queue) == CopyModel(id=sent(queue).id, source=CHAT, name="bard")


async def test_the_client_deletes_a_model(client: ollama.AsyncClient, queue: MemoryQueue):
    assert (await client.delete("poet:latest")).status == "success"
    assert sent(queue) == RemoveModel(id=sent(queue).id, name="poet")


async def test_the_client_creates_an_alias_from_what_a_modelfile_says(
    client: ollama.AsyncClient, queue: MemoryQueue
):
    stream = await client.create(
        "bard",
        from_=CHAT,
        system="Rhyme.",
        template="{{ .Prompt }}",
        license=["one", "two"],
        parameters={"temperature": 0.5, "num_ctx": 4096, "stop": ["a", "b"], "seed": "7"},
        messages=[ollama.Message(role="user", content="Hi"), ollama.Message(role="assistant", content="Ho")],
        stream=True,
    )
    assert [each.status async for each in stream] == [f"using existing model {CHAT}", "success"]
    turns = PresetMessage("user", "Hi"), PresetMessage("assistant", "Ho")
    parameters = {"temperature": 0.5, "num_ctx": 4096, "stop": ("a", "b"), "seed": 7.0}
    assert sent(queue) == CreateModel(
        id=sent(queue).id,
        name="bard",
        source=CHAT,
        defaults=ModelDefaults("Rhyme.", parameters, turns),
        template="{{ .Prompt }}",
        license="one\ntwo",
    )


async def test_a_whole_reply_says_success(client: ollama.AsyncClient):
    assert (await client.create("bard", from_="poet")).status == "success"


async def test_openais_client_deletes_a_model(queue: MemoryQueue):
    http2 = httpx2.AsyncClient(transport=httpx2.ASGITransport(create_app(queue, Settings())))
    client = openai.AsyncOpenAI(
        base_url="http://localhost/v1",
        api_key="none",
        max_retries=0,
        http_client=http2,
    )
    deleted = await client.models.delete("poet")

    assert (deleted.id, deleted.deleted, deleted.object) == ("poet", True, "model")
    assert sent(queue) == RemoveModel(id=sent(queue).id, name="poet")
    with pytest.raises(openai.NotFoundError):
        await client.models.delete("org/other")


async def test_every_machine_that_has_the_model_is_told(client: ollama.AsyncClient, queue: MemoryQueue):
    entry = CatalogueEntry(name=CHAT.upper(), folder="/x", created_at=1, modified_at=1)
    queue.machines.infos = [
        MachineInfo("a", 0.0, (CHAT,)), MachineInfo("b", 0.0, (MODEL.id,)), MachineInfo("c", 0.0, (), (entry,)),
    ]  # fmt: skip
    await client.copy(CHAT, "bard")

    assert [machine for machine, _ in queue.machines.sent] == ["a", "c"]
    assert len({command.id for _, command in queue.machines.sent}) == 2


async def test_without_such_a_machine_it_is_said_what_must_run(http: httpx.AsyncClient, queue: MemoryQueue):
    queue.machines.infos = []
    reply = await http.post("/api/copy", json={"source": CHAT, "destination": "bard"})

    assert reply.status_code == 503 and "`mlxq up` or `mlxq worker` must run there" in reply.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("POST", "/api/copy", {"source": "other", "destination": "x"}, 404, "model 'other' not found"),
        ("DELETE", "/api/delete", {"name": "other"}, 404, "model 'other' not found"),
        ("DELETE", "/api/delete", {}, 400, "model is missing"),
        ("POST", "/api/create", {"model": "x", "from": "other"}, 404, "model 'other' not found"),
        ("POST", "/api/create", {"model": "x"}, 400, "from is missing"),
        ("POST", "/api/create", {"model": HUB_NAME, "from": CHAT}, 400, f"means {MODEL.id} already"),
        ("POST", "/api/copy", {"source": CHAT, "destination": HUB_NAME}, 400, f"means {MODEL.id} already"),
        ("POST", "/api/copy", {"source": CHAT, "destination": MODEL.id.upper()}, 400, "files of its own"),
        ("POST", "/api/copy", {"source": CHAT, "destination": SHORT}, 400, "means org/far already"),
        (
            "POST",
            "/api/create",
            {"model": "x", "from": CHAT, "system": "x" * 300_000},
            400,
            "system: 300000 bytes",
        ),
        ("DELETE", "/api/delete", {"model": HUB_NAME}, 404, f"model '{HUB_NAME}' not found"),
        (
            "DELETE",
            "/api/delete",
            {"model": SHORT},
            404,
            f"model '{SHORT}' not found, did you mean 'org/far'?",
        ),
        ("DELETE", f"/v1/models/{HUB_NAME}", {}, 404, "not found"),
        ("DELETE", f"/v1/models/{SHORT}", {}, 404, "not found"),
        ("POST", "/api/create", {"model": "x", "from": CHAT, "parameters": {"heat": 1}}, 400, "'heat'"),
        ("POST", "/api/create", {"model": "x", "from": CHAT, "parameters": {"seed": "a"}}, 400, "seed"),
        (
            "POST",
            "/api/create",
            {"model": "x", "from": CHAT, "parameters": {"typical_p": 0.5}},
            400,
            "typical_p",
        ),
        ("POST", "/api/create", {"model": "x", "files": {"a.gguf": "sha256:0"}}, 400, "mlxq pull"),
        ("POST", "/api/create", {"model": "x", "from": CHAT, "quantize": "q4_K_M"}, 400, "--quantize"),
    ],
)
async def test_what_cannot_be_is_refused_and_no_machine_is_told(
    http: httpx.AsyncClient,
    queue: MemoryQueue,
    method: str,
    path: str,
    body: dict[str, Any],
    status: int,
    error: str,
):
    reply = await http.request(method, path, json=body)

    assert reply.status_code == status and error in str(reply.json()["error"])
    assert queue.machines.sent == []


async def test_a_removal_may_say_latest_and_capitals(http: httpx.AsyncClient, queue: MemoryQueue):
    assert (await http.delete("/v1/models/POET:LATEST")).json()["id"] == "poet"
    assert sent(queue) == RemoveModel(id=sent(queue).id, name="poet")


async def test_an_alias_may_be_made_anew(http: httpx.AsyncClient, queue: MemoryQueue):
    body = {"model": "Poet:latest", "from": CHAT, "stream": False}
    assert (await http.post("/api/create", json=body)).status_code == 200
    assert sent(queue) == CreateModel(id=sent(queue).id, name="Poet:latest", source=CHAT)


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ('{"temperature": "nan"}', "temperature is no finite number"),
        ('{"top_p": "-inf"}', "top_p is no finite number"),
        ('{"top_k": "inf"}', "top_k is no finite number"),
        ('{"temperature": 1e400}', "parameters"),
        ('{"num_ctx": 1e400}', "parameters"),
        ('{"num_ctx": {"a": 1}}', "num_ctx"),
        ('{"num_ctx": [1, 2]}', "num_ctx"),
        ('{"num_ctx": 99999999999999999999999}', "num_ctx is a number of more than 64 bits"),
        ('{"seed": 99999999999999999999999}', "seed is a number of more than 64 bits"),
        ('{"seed": 1e30}', "seed is a number of more than 64 bits"),
        ('{"stop": ["a", ""]}', "empty text"),
    ],
)
async def test_a_parameter_that_no_catalogue_can_hold_is_refused(
    http: httpx.AsyncClient, queue: MemoryQueue, parameters: str, error: str
):
    body = f'{{"model": "x", "from": "{CHAT}", "stream": false, "parameters": {parameters}}}'
    reply = await http.post("/api/create", content=body)

    assert reply.status_code == 400 and error in reply.json()["error"]
    assert queue.machines.sent == []


def test_a_whole_number_stays_one():
    given = {"top_k": 40, "seed": 9007199254740993, "num_predict": 5.7, "repeat_last_n": "33", "num_ctx": 10}
    found = checked_parameters(given)

    assert found == {**given, "num_predict": 5, "repeat_last_n": 33}
    assert {type(each) for each in found.values()} == {int}


async def test_what_a_machine_refuses_is_said_in_the_form_of_the_request(
    http: httpx.AsyncClient, queue: MemoryQueue
):
    queue.machines.answers = (
        Progress(status="queued"),
        failed(InvalidInput("It is no name.", param="model")),
    )
    body = {"model": "../x", "from": CHAT}

    streamed = await http.post("/api/create", json=body)
    assert json.loads(streamed.text.splitlines()[-1]) == {"error": "It is no name."}
    whole = await http.post("/api/create", json={**body, "stream": False})
    assert (whole.status_code, whole.json()) == (400, {"error": "It is no name."})
