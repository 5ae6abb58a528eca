"""The OpenAPI document is valid, whole, and says the truth."""

import json
import re
from collections.abc import AsyncGenerator
from importlib.metadata import version
from typing import Any

import httpx
import msgspec
import openapi_spec_validator
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Route

from api.app import create_app
from jobs import errors
from jobs.errors import JobError
from jobs.job import Job, JobPage, JobView, Result, SubmitOptions, Ticket
from jobs.models import ModelInfo
from jobs.settings import Settings
from jobs.stats import QueueStats
from tests.support.documented import Documented, Endpoint, items_of
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, PAGE_MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL
from tests.unit.api.conftest import Connect

MODELS = tuple(
    msgspec.structs.replace(info, id=name)
    for info, name in (
        (MODEL, "all-MiniLM-L6-v2"),
        (CHAT_MODEL, "CHAT-MODEL"),
        (RERANK_MODEL, "RERANK-MODEL"),
        (PAGE_MODEL, "PAGE-MODEL"),
    )
)
DOCUMENT = json.loads(json.dumps(create_app(MemoryQueue(), Settings()).openapi()))
DOCUMENTED = Documented(DOCUMENT)
WORK = [each for each in DOCUMENTED.endpoints if "202" in each.said["responses"]]
OWN = errors.ALL
"""What a job may end with."""
RAISED: dict[str, tuple[type[JobError], ...]] = {
    "submit": (errors.Overloaded, errors.IdempotencyConflict, errors.UnknownModel, errors.NoWorker),
    "wait": tuple(cls for cls in OWN if cls is not errors.Overloaded),
    "stream": tuple(cls for cls in OWN if cls not in (errors.Overloaded, errors.NoWorker)),
    "cancel": (errors.UnknownJob,),
    "view": (errors.UnknownJob,),
    "views": (),
    "models": (),
    "stats": (),
    "ready": (),
}
"""What each method of a queue may raise, as api.work.queue says, besides that Redis is away and internal errors."""


IMAGE = DOCUMENTED.endpoint_of("POST", "/v1/similarity-maps").example["image"]
_TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
CALLS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"tools": [_TOOL], "tool_choice": "required"},
    "/v1/messages": {"tools": [{"name": "look", "input_schema": {}}], "tool_choice": {"type": "any"}},
    "/api/chat": {"tools": [_TOOL]},
}
"""Fields with which each dialect asks for calls."""


def name_of(endpoint: Endpoint) -> str:
    return endpoint.said["operationId"]


class FaultyQueue(MemoryQueue):
    """fault: which of its methods raises, and what."""

    fault: tuple[str, Exception] | None = None

    def __init__(self) -> None:
        super().__init__(MODELS)

    def _meet(self, method: str) -> None:
        if self.fault and self.fault[0] == method:
            raise self.fault[1]

    async def submit(self, job: Job, options: SubmitOptions) -> Ticket:
        self._meet("submit")
        return await super().submit(job, options)

    async def wait(self, job_id: str, timeout_s: float) -> Result:
        self._meet("wait")
        return await super().wait(job_id, timeout_s)

    async def stream(self, job_id: str, after: int = 0) -> AsyncGenerator[Any]:
        self._meet("stream")
        async for event in super().stream(job_id, after):
            yield event

    async def cancel(self, job_id: str) -> bool:
        self._meet("cancel")
        return await super().cancel(job_id)

    async def view(self, job_id: str) -> JobView:
        self._meet("view")
        return await super().view(job_id)

    async def views(self, **asked: Any) -> JobPage:
        self._meet("views")
        self.fault = None  # it calls view
        return await super().views(**asked)

    async def stats(self) -> QueueStats:
        self._meet("stats")
        return await super().stats()

    async def models(self) -> tuple[ModelInfo, ...]:
        self._meet("models")
        return await super().models()

    async def ready(self) -> bool:
        self._meet("ready")
        return await super().ready()


async def ask(
    client: httpx.AsyncClient,
    endpoint: Endpoint,
    job_id: str = "none",
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> httpx.Response:
    """Sends the endpoint's example, with these fields instead of its own."""
    path = endpoint.path.replace("{job_id}", job_id).replace("{model_id}", "CHAT-MODEL")
    body = {**endpoint.example, **fields} if endpoint.example else None
    return await client.request(endpoint.method, path, json=body, headers=headers)


async def streaming_job(client: httpx.AsyncClient) -> str:
    """The id of a job for those that need one; its work is done, and was to be streamed."""
    chat = {"model": "CHAT-MODEL", "messages": [{"role": "user", "content": "one two"}], "stream": True}
    reply = await client.post("/v1/jobs", json={"task": "generate", **chat})
    return reply.json()["id"]


def test_the_document_is_valid():
    openapi_spec_validator.validate(DOCUMENT)
    assert DOCUMENT["openapi"].startswith("3.1")


def test_every_route_is_in_the_document():
    app = create_app(MemoryQueue(), Settings())
    routes = [each for each in app.routes if isinstance(each, Route)]
    served = {
        (method, re.sub(r":\w+", "", each.path))
        for each in routes
        if isinstance(each, APIRoute)
        for method in each.methods or ()
    }
    assert served == {(each.method, each.path) for each in DOCUMENTED.endpoints}
    # Whatever else answers is about the document itself.
    assert {each.path for each in routes if not isinstance(each, APIRoute)} == {
        "/openapi.json",
        "/docs",
        "/docs/oauth2-redirect",
        "/redoc",
    }


def test_every_operation_has_a_name_of_its_own_a_tag_and_a_summary():
    names = [name_of(each) for each in DOCUMENTED.endpoints]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]+", name) for name in names)
    tags = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}
    assert {tag for each in DOCUMENTED.endpoints for tag in each.said["tags"]} == tags
    assert all(each.said["summary"].endswith(".") for each in DOCUMENTED.endpoints)


def test_components_have_the_names_of_classes():
    """Two classes of one name would appear with their modules' names."""
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9]+", name) for name in DOCUMENT["components"]["schemas"])


def test_parameters_of_paths_are_declared():
    for endpoint in DOCUMENTED.endpoints:
        declared = {each["name"] for each in endpoint.said["parameters"] if each["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", endpoint.path)), endpoint.path


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/v1/jobs", {"status", "model", "lane", "limit", "offset", "after"}),
        ("/v1/jobs/{job_id}", {"job_id", "wait", "encoding_format"}),
        ("/v1/jobs/{job_id}/events", {"job_id", "after", "include_usage", "Last-Event-ID"}),
    ],
)
def test_queries_and_headers_are_declared(path: str, names: set[str]):
    said = DOCUMENT["paths"][path]["get"]["parameters"]
    assert {each["name"] for each in said} == names
    assert all("$ref" not in json.dumps(each["schema"]) for each in said)


@pytest.mark.parametrize("endpoint", WORK, ids=name_of)
def test_work_takes_an_idempotency_key_and_unless_it_is_a_job_a_preference(endpoint: Endpoint):
    names = {each["name"] for each in endpoint.said["parameters"]}
    assert names == {"Idempotency-Key"} | (set() if endpoint.path == "/v1/jobs" else {"Prefer"})


def test_work_may_end_with_every_status_of_the_table_of_errors():
    statuses = {"400", "404", "409", "413", "429", "500", "503", "504"}
    for endpoint in WORK:
        left_out = {"504"} if endpoint.path == "/v1/jobs" else set[str]()  # nobody waits
        assert statuses - left_out <= set(endpoint.said["responses"])
        assert {"Retry-After"} <= set(endpoint.said["responses"]["429"]["headers"])
        assert {"Retry-After"} <= set(endpoint.said["responses"]["503"]["headers"])


def test_every_error_of_the_table_is_explained():
    said = DOCUMENT["paths"]["/v1/embeddings"]["post"]["responses"].values()
    lines = {line for each in said for line in each["description"].splitlines()}
    assert {f"- `{cls.code}`: {cls.__doc__}" for cls in errors.ALL} <= lines


@pytest.mark.parametrize("endpoint", DOCUMENTED.endpoints, ids=name_of)
async def test_whatever_the_queue_raises_is_answered_as_documented(connect: Connect, endpoint: Endpoint):
    queue = FaultyQueue()
    client = connect(queue)
    for method, classes in RAISED.items():
        for cls in (*classes, errors.QueueUnavailable, errors.InternalError):
            queue.fault = None
            job_id = await streaming_job(client)
            queue.fault = (method, cls())
            DOCUMENTED.check(await ask(client, endpoint, job_id))
            if endpoint.streams:
                DOCUMENTED.check(await ask(client, endpoint, job_id, stream=True))


@pytest.mark.parametrize("endpoint", DOCUMENTED.endpoints, ids=name_of)
async def test_an_error_nobody_foresaw_is_answered_as_documented(connect: Connect, endpoint: Endpoint):
    queue = FaultyQueue()
    client = connect(queue)
    job_id = await streaming_job(client)
    for method in RAISED:
        queue.fault = (method, ValueError("nobody foresaw it"))
        DOCUMENTED.check(await ask(client, endpoint, job_id))


@pytest.mark.parametrize("endpoint", [each for each in DOCUMENTED.endpoints if each.example], ids=name_of)
async def test_examples_are_answered_and_what_is_wrong_is_refused_as_documented(
    connect: Connect, endpoint: Endpoint
):
    client = connect(MemoryQueue(MODELS))
    answered = await ask(client, endpoint)
    assert answered.is_success
    DOCUMENTED.check(answered)
    for body in ("no object", {}, dict.fromkeys(endpoint.example, 1)):
        refused = await client.request(endpoint.method, endpoint.path, json=body)
        assert refused.status_code == 400
        DOCUMENTED.check(refused)
    unserved = await ask(client, endpoint, model="unserved")
    assert unserved.status_code == 404
    DOCUMENTED.check(unserved)
    large = await ask(connect(MemoryQueue(MODELS), max_body_bytes=1024), endpoint, padding="x" * 1024)
    assert large.status_code == 413
    DOCUMENTED.check(large)
    nobody = await ask(connect(MemoryQueue(())), endpoint)
    assert nobody.status_code == 503
    DOCUMENTED.check(nobody)


class PackingQueue(MemoryQueue):
    """Jobs are packed, as on their way to Redis."""

    async def submit(self, job: Job, options: SubmitOptions) -> Ticket:
        msgspec.msgpack.encode((job, options))
        return await super().submit(job, options)


@pytest.mark.parametrize("endpoint", [each for each in DOCUMENTED.endpoints if each.example], ids=name_of)
async def test_no_number_is_too_large_to_be_answered_as_documented(connect: Connect, endpoint: Endpoint):
    client = connect(PackingQueue(MODELS))
    schema = endpoint.said["requestBody"]["content"]["application/json"]["schema"]
    for each in schema.get("anyOf", [schema]):
        component = DOCUMENT["components"]["schemas"][each["$ref"].rpartition("/")[2]]
        for name, said in component["properties"].items():
            if '"integer"' in json.dumps(said) or '"number"' in json.dumps(said):
                for number in (10**30, -(10**30)):
                    reply = await ask(client, endpoint, **{name: number})
                    assert reply.status_code < 500, (name, number)
                    DOCUMENTED.check(reply)


@pytest.mark.parametrize("endpoint", WORK, ids=name_of)
async def test_work_that_waits_is_answered_as_documented(connect: Connect, endpoint: Endpoint):
    queue = MemoryQueue(MODELS, held=True, limit=2)
    client = connect(queue)
    for status, headers in (
        (202, {"Prefer": "respond-async", "Idempotency-Key": "one"}),
        (202 if endpoint.path == "/v1/jobs" else 504, {"Prefer": "wait=0"}),
        (202, {"Prefer": "respond-async", "Idempotency-Key": "two"}),
        (429, {"Prefer": "respond-async"}),
    ):
        reply = await ask(client, endpoint, headers=headers)
        if endpoint.path != "/v1/jobs" or reply.status_code != 429:
            assert reply.status_code == status, headers
        DOCUMENTED.check(reply)
    reused = {"Prefer": "respond-async", "Idempotency-Key": "one"}
    DOCUMENTED.check(await ask(client, endpoint, headers=reused, model="PAGE-MODEL"))


@pytest.mark.parametrize("endpoint", [each for each in DOCUMENTED.endpoints if each.streams], ids=name_of)
async def test_streams_hold_the_items_that_are_documented(connect: Connect, endpoint: Endpoint):
    client = connect(MemoryQueue(MODELS))
    fields: list[dict[str, Any]] = [
        {},
        {"stream_options": {"include_usage": True}, "n": 2},
        {"logprobs": True, "top_logprobs": 2} if endpoint.path != "/v1/completions" else {"logprobs": 2},
        {"chat_template_kwargs": {"enable_thinking": True}, "think": True, "thinking": {"type": "enabled"}},
        CALLS.get(endpoint.path, {}),
    ]
    for each in fields:
        streamed: dict[str, Any] = {**each, "stream": True}
        whole: dict[str, Any] = {**each, "stream": False}
        reply = await ask(client, endpoint, await streaming_job(client), **streamed)
        assert reply.status_code == 200, reply.text
        assert list(items_of(reply.text, reply.headers["content-type"]))
        DOCUMENTED.check(reply)
        if endpoint.example:
            DOCUMENTED.check(await ask(client, endpoint, **whole))


@pytest.mark.parametrize(
    "fields",
    [
        {"input": "a"},
        {"input": "a", "encoding_format": "base64"},
        {"input": "a", "output_dtype": "int8"},
        {"model": "PAGE-MODEL", "input": "a b"},
        {"model": "PAGE-MODEL", "input": "a b", "encoding_format": "base64"},
        {"model": "PAGE-MODEL", "input": {"image": IMAGE}, "patch_grids": True},
    ],
)
async def test_vectors_in_every_form_are_as_documented(connect: Connect, fields: dict[str, Any]):
    client = connect(MemoryQueue(MODELS))
    endpoint = DOCUMENTED.endpoint_of("POST", "/v1/embeddings")
    reply = await ask(client, endpoint, **fields)
    assert reply.status_code == 200, reply.text
    DOCUMENTED.check(reply)
    job = await ask(client, DOCUMENTED.endpoint_of("POST", "/v1/jobs"), **fields)
    DOCUMENTED.check(job)
    assert job.json()["result"]["data"]


async def test_rerankings_in_every_form_are_as_documented(connect: Connect):
    client = connect(MemoryQueue(MODELS))
    documents = ["a fox", {"text": "a whale"}]
    forms: list[tuple[str, dict[str, Any]]] = [
        ("/v1/rerank", {"documents": documents}),
        ("/v1/rerank", {"documents": documents, "max_chunks_per_doc": 1, "return_documents": True}),
        ("/v2/rerank", {}),
        ("/rerank", {"return_text": True}),
        ("/v1/score", {"text_1": ["a fox", "a whale"]}),
    ]
    for path, fields in forms:
        reply = await ask(client, DOCUMENTED.endpoint_of("POST", path), **fields)
        assert reply.status_code == 200, reply.text
        DOCUMENTED.check(reply)


async def test_jobs_in_every_state_are_as_documented(connect: Connect):
    queue = MemoryQueue(MODELS, held=True)
    client = connect(queue)
    bodies = [
        {"task": "embed", "model": "all-MiniLM-L6-v2", "input": "a", "metadata": {"page": "1"}},
        {"task": "generate", "model": "CHAT-MODEL", "messages": [{"role": "user", "content": "a"}]},
        {"task": "generate", "model": "CHAT-MODEL", "prompt": "a", "lane": "bulk", "retries": 2, "ttl": 60},
        {"task": "rerank", "model": "RERANK-MODEL", "query": "a", "documents": ["a b", "c"]},
    ]
    schema = DOCUMENT["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    for body in bodies:
        DOCUMENTED.validate(body, schema)
    ids = [(await client.post("/v1/jobs", json=body)).json()["id"] for body in (*bodies, bodies[0])]
    canceled = await client.delete(f"/v1/jobs/{ids.pop()}")
    assert canceled.json()["status"] == "canceled"
    DOCUMENTED.check(canceled)
    for job_id in ids:
        DOCUMENTED.check(await client.get(f"/v1/jobs/{job_id}"))
    queue.failure = errors.InputTooLong(param="input")
    failing = (await client.post("/v1/jobs", json=bodies[0])).json()["id"]
    queue.release()
    failed = await client.get(f"/v1/jobs/{failing}")
    assert failed.json()["error"]["code"] == "context_length_exceeded"
    DOCUMENTED.check(failed)
    queue.failure = None
    queue.held = False
    for body in bodies:
        job_id = (await client.post("/v1/jobs", json=body)).json()["id"]
        done = await client.get(f"/v1/jobs/{job_id}")
        assert done.json()["result"]
        DOCUMENTED.check(done)
        again = await client.delete(f"/v1/jobs/{job_id}")
        assert again.status_code == 409
        DOCUMENTED.check(again)
    for query in ("", "?status=failed", "?limit=1&lane=bulk", "?limit=0", "?status=gone"):
        DOCUMENTED.check(await client.get(f"/v1/jobs{query}"))
    for path in (
        "/v1/jobs/no*id",
        "/v1/jobs/unknown",
        f"/v1/jobs/{ids[0]}?wait=x",
        f"/v1/jobs/{ids[0]}/events",
    ):
        refused = await client.get(path)
        assert refused.status_code in (400, 404)
        DOCUMENTED.check(refused)


@pytest.mark.parametrize("models", [MODELS, ()], ids=["models", "no models"])
async def test_what_is_told_of_models_and_the_service_is_as_documented(
    connect: Connect, models: tuple[ModelInfo, ...]
):
    client = connect(MemoryQueue(models))
    for endpoint in DOCUMENTED.endpoints:
        if endpoint.method == "GET" and "job_id" not in endpoint.path:
            DOCUMENTED.check(await ask(client, endpoint))


async def test_a_name_that_may_mean_two_models_is_refused_as_documented(connect: Connect):
    two = tuple(msgspec.structs.replace(CHAT_MODEL, id=name) for name in ("one/chat", "two/chat"))
    client = connect(MemoryQueue(two))
    for endpoint in DOCUMENTED.endpoints:
        if "model" in (endpoint.example or {}):
            DOCUMENTED.check(await ask(client, endpoint, model="chat"))
    reply = await client.get("/v1/models/chat")
    assert reply.status_code == 400
    DOCUMENTED.check(reply)


async def test_the_document_is_made_when_it_is_first_asked_for_and_kept():
    app = create_app(MemoryQueue(), Settings())
    assert app.openapi_schema is None
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mlxq") as client:
        assert (await client.get("/openapi.json")).json() == DOCUMENT
        assert app.openapi() is app.openapi()
        assert "/openapi.json" in (await client.get("/docs")).text


def test_the_version_is_the_packages():
    assert DOCUMENT["info"]["version"] == version("mlxq")
