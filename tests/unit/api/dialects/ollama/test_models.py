"""What Ollama's clients may ask of models: /api/tags, /api/show, /api/ps, /api/version."""

import hashlib
import re
from datetime import datetime
from typing import Literal

import httpx
import msgspec
import pytest

from api.dialects.ollama.details import digest_of, short_count
from api.dialects.ollama.models import list_loaded
from jobs.catalogue.defaults import ModelDefaults, PresetMessage
from jobs.catalogue.details import ModelDetails
from jobs.catalogue.entry import CatalogueEntry
from jobs.machines.machines import MachineInfo
from jobs.models import LoadedModel, declared_model
from jobs.stats import WorkerStats
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL
from tests.unit.api.conftest import Connect

CREATED = "2023-11-14T22:13:20.000000000Z"
QWEN = msgspec.structs.replace(
    CHAT_MODEL,
    id="org/qwen",
    digest="abc",
    family="qwen3",
    parameters=596_049_920,
    quantisation="4bit",
    size_bytes=351_000_000,
)
QWEN_DETAILS = {
    "parent_model": "",
    "format": "safetensors",
    "family": "qwen3",
    "families": ["qwen3"],
    "parameter_size": "596.05M",
    "quantization_level": "4bit",
    "context_length": 4096,
}
UNKNOWN_DETAILS = {
    "parent_model": "",
    "format": "safetensors",
    "family": "",
    "families": [],
    "parameter_size": "",
    "quantization_level": "",
}


async def test_tags_list_every_model_with_what_its_files_say(connect: Connect):
    declared = declared_model("embed:org/declared")
    models = (await connect(MemoryQueue(models=(MODEL, QWEN, declared))).get("/api/tags")).json()["models"]
    embedder, qwen, unknown = models
    assert qwen == {
        "name": "org/qwen:latest",
        "model": "org/qwen:latest",
        "modified_at": CREATED,
        "size": 351_000_000,
        "digest": hashlib.sha256(b"abc").hexdigest(),
        "details": QWEN_DETAILS,
        "capabilities": ["completion", "tools", "vision", "thinking"],
    }
    assert embedder["capabilities"] == unknown["capabilities"] == ["embedding"]
    sizes = {"context_length": MODEL.max_tokens, "embedding_length": MODEL.dimensions}
    assert embedder["details"] == {**UNKNOWN_DETAILS, **sizes}
    assert (unknown["size"], unknown["details"]) == (0, UNKNOWN_DETAILS)
    assert len({each["digest"] for each in models}) == 3
    assert all(re.fullmatch("[0-9a-f]{64}", each["digest"]) for each in models)


def test_copies_of_a_model_have_one_digest():
    copy = msgspec.structs.replace(QWEN, id="another")
    assert digest_of(copy) == digest_of(QWEN) != digest_of(MODEL)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (999, "999"),
        (1000, "1K"),
        (22_713_216, "22.71M"),
        (135_000_000, "135M"),
        (7_615_616_512, "7.6B"),
        (8_000_000_000, "8B"),
        (1_043_000_000_000, "1043B"),
    ],
)
def test_a_count_of_parameters_is_shortened(count: int, text: str):
    assert short_count(count) == text


async def test_the_latest_model_is_listed_first_and_a_tag_is_said_as_it_is(connect: Connect):
    older = msgspec.structs.replace(MODEL, id="older:v1", created=MODEL.created - 1)
    host = msgspec.structs.replace(MODEL, id="host:8000/newer", created=MODEL.created + 1)
    listed = (await connect(MemoryQueue(models=(older, MODEL, host))).get("/api/tags")).json()["models"]
    assert [each["name"] for each in listed] == ["host:8000/newer:latest", f"{MODEL.id}:latest", "older:v1"]


@pytest.mark.parametrize(("device", "share"), [("gpu", 1), ("cpu", 0), ("", 1)])
def test_weights_lie_in_the_memory_of_what_computes(device: Literal["gpu", "cpu", ""], share: int):
    loaded = LoadedModel(MODEL.id, 3_000, None)
    worker = WorkerStats(
        name="w",
        models=(MODEL.id,),
        seen_at=0,
        jobs_in_hand=0,
        drain_rate={},
        loaded=(loaded,),
        device=device,
    )
    [shown] = list_loaded([MODEL], [worker]).models
    assert (shown.size, shown.size_vram) == (3_000, share * 3_000)


async def test_a_model_that_stays_longer_than_dates_reach_stays_for_ever(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    generator.loaded = {MODEL.id: LoadedModel(MODEL.id, 3_000, 1e18)}
    [found] = (await chat_client.get("/api/ps")).json()["models"]
    assert datetime.fromisoformat(found["expires_at"]).year == 9999


@pytest.mark.parametrize("path", ["/", "/api/tags", "/api/version", "/api/ps"])
async def test_what_is_asked_for_by_get_is_asked_for_by_head(chat_client: httpx.AsyncClient, path: str):
    told, asked = await chat_client.get(path), await chat_client.head(path)
    assert told.status_code == asked.status_code == 200
    assert told.headers == asked.headers


async def test_models_are_not_pushed(chat_client: httpx.AsyncClient):
    for stream in (True, False):
        reply = await chat_client.post("/api/push", json={"model": MODEL.id, "stream": stream})
        assert (reply.status_code, list(reply.json())) == (501, ["error"])
        assert "not pushed" in reply.json()["error"]


async def test_ps_lists_what_is_in_memory_and_until_when(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    generator.loaded = {}
    assert (await chat_client.get("/api/ps")).json() == {"models": []}
    generator.loaded = {
        CHAT_MODEL.id: LoadedModel(CHAT_MODEL.id, 4_000, 1_800_000_000.5),
        MODEL.id: LoadedModel(MODEL.id, 3_000, None),
    }
    embedder, chat = (await chat_client.get("/api/ps")).json()["models"]
    assert [each["model"] for each in (embedder, chat)] == [f"{MODEL.id}:latest", f"{CHAT_MODEL.id}:latest"]
    assert [each["size_vram"] for each in (embedder, chat)] == [3_000, 4_000]
    assert chat["context_length"] == CHAT_MODEL.max_tokens
    assert datetime.fromisoformat(chat["expires_at"]).timestamp() == 1_800_000_000.5
    assert datetime.fromisoformat(embedder["expires_at"]).year == 9999


@pytest.mark.parametrize("field", ["model", "name"])
@pytest.mark.parametrize("tag", ["", ":latest"])
async def test_a_generator_shows_its_context_and_capabilities(
    chat_client: httpx.AsyncClient, field: str, tag: str
):
    body = (await chat_client.post("/api/show", json={field: CHAT_MODEL.id + tag})).json()
    architecture = body["model_info"]["general.architecture"]
    assert body["model_info"][f"{architecture}.context_length"] == CHAT_MODEL.max_tokens
    assert f"{architecture}.embedding_length" not in body["model_info"]
    assert body["capabilities"] == ["completion", "tools", "vision", "thinking"]
    assert body["details"] == {**UNKNOWN_DETAILS, "context_length": CHAT_MODEL.max_tokens}
    assert body["modified_at"] == CREATED


async def test_a_model_shows_what_its_files_say(connect: Connect):
    queue = MemoryQueue(models=(QWEN,))
    sizes = {"block_count": 28, "embedding_length": 1024, "attention.head_count": 16}
    queue.machines.details_of[QWEN.id] = ModelDetails(
        template='{{ messages[0]["content"] }}', license="apache-2.0", config={**sizes}
    )
    body = (await connect(queue).post("/api/show", json={"model": "QWEN"})).json()
    assert body == {
        "license": "apache-2.0",
        "modelfile": '# Modelfile generated by "mlxq show"\n'
        "FROM org/qwen:latest\n"
        'TEMPLATE """{{ messages[0]["content"] }}"""\n'
        'LICENSE """apache-2.0"""\n',
        "parameters": "",
        "template": '{{ messages[0]["content"] }}',
        "system": "",
        "messages": [],
        "details": QWEN_DETAILS,
        "model_info": {
            "general.architecture": "qwen3",
            "general.basename": QWEN.id,
            "general.parameter_count": QWEN.parameters,
            "qwen3.block_count": 28,
            "qwen3.embedding_length": 1024,
            "qwen3.attention.head_count": 16,
            "qwen3.context_length": 4096,
        },
        "capabilities": ["completion", "tools", "vision", "thinking"],
        "modified_at": CREATED,
    }


ALIAS = msgspec.structs.replace(
    QWEN,
    id="poet",
    of=QWEN.id,
    defaults=ModelDefaults(
        system="Write verse.",
        parameters={"temperature": 0.5, "stop": ("END", "\n\n"), "num_predict": 9},
        messages=(PresetMessage("user", "Rhyme."), PresetMessage("assistant", "Time.")),
    ),
)


async def test_an_alias_shows_its_own_defaults_and_what_its_model_is(connect: Connect):
    queue = MemoryQueue(models=(QWEN, ALIAS))
    queue.machines.details_of[QWEN.id] = ModelDetails(template="{{ messages }}", license="apache-2.0")
    entry = CatalogueEntry(name="Poet", of=QWEN.id, template="{{ .Prompt }}", created_at=1, modified_at=2)
    older = msgspec.structs.replace(entry, template="old", modified_at=1)
    queue.machines.infos = [MachineInfo("one", 0, entries=(older,)), MachineInfo("two", 0, entries=(entry,))]
    body = (await connect(queue).post("/api/show", json={"model": "poet:latest"})).json()
    assert (body["system"], body["template"], body["license"]) == (
        "Write verse.",
        "{{ .Prompt }}",
        "apache-2.0",
    )
    assert body["parameters"].splitlines() == [
        "temperature                    0.5",
        'stop                           "END"',
        'stop                           "\\n\\n"',
        "num_predict                    9",
    ]
    assert [each["role"] for each in body["messages"]] == ["user", "assistant"]
    assert body["details"] == {**QWEN_DETAILS, "parent_model": "org/qwen:latest"}
    assert body["modelfile"].splitlines()[1:] == [
        "FROM org/qwen:latest",
        "PARAMETER temperature 0.5",
        'PARAMETER stop "END"',
        'PARAMETER stop """',
        "",
        '"""',
        "PARAMETER num_predict 9",
        'TEMPLATE """{{ .Prompt }}"""',
        'SYSTEM """Write verse."""',
        'MESSAGE user """Rhyme."""',
        'MESSAGE assistant """Time."""',
        'LICENSE """apache-2.0"""',
    ]


def test_an_alias_has_its_models_digest_unless_its_defaults_differ():
    copy = msgspec.structs.replace(ALIAS, defaults=ModelDefaults())
    other = msgspec.structs.replace(ALIAS, defaults=ModelDefaults(system="Write prose."))
    assert digest_of(copy) == digest_of(QWEN)
    assert len({digest_of(each) for each in (QWEN, ALIAS, other)}) == 3


async def test_an_embedders_vectors_may_be_smaller_than_its_network(connect: Connect):
    queue = MemoryQueue(models=(MODEL,))
    queue.machines.details_of[MODEL.id] = ModelDetails(config={"embedding_length": 1024})
    body = (await connect(queue).post("/api/show", json={"model": MODEL.id})).json()
    assert body["model_info"]["mlx.embedding_length"] == MODEL.dimensions


async def test_an_embedder_shows_its_dimensions(chat_client: httpx.AsyncClient):
    body = (await chat_client.post("/api/show", json={"model": MODEL.id})).json()
    assert body["capabilities"] == ["embedding"]
    assert body["model_info"]["mlx.embedding_length"] == MODEL.dimensions


async def test_a_reranker_has_no_capability_that_ollama_knows(rerank_client: httpx.AsyncClient):
    body = (await rerank_client.post("/api/show", json={"model": RERANK_MODEL.id})).json()
    assert body["capabilities"] == []


async def test_what_cannot_be_shown_is_an_error_as_text(chat_client: httpx.AsyncClient, connect: Connect):
    unknown = await chat_client.post("/api/show", json={"model": "none"})
    assert (unknown.status_code, unknown.json()) == (404, {"error": "model 'none' not found"})
    unnamed = await chat_client.post("/api/show", json={})
    assert (unnamed.status_code, unnamed.json()) == (400, {"error": "model is missing or null."})
    idle = await connect(MemoryQueue(models=())).post("/api/show", json={"model": "none"})
    assert idle.status_code == 503


async def test_the_version_is_one_that_clients_take(chat_client: httpx.AsyncClient):
    """Some ask for 0.6.4 or later."""
    told = (await chat_client.get("/api/version")).json()
    assert set(told) == {"version"}
    assert tuple(map(int, told["version"].split("."))) >= (0, 6, 4)
