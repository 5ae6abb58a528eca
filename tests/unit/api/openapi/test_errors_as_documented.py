"""What is refused and what fails is answered as the document says."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest

from jobs import errors
from jobs.errors import JobError
from jobs.job import Job, JobPage, JobView, Result, SubmitOptions, Ticket
from jobs.models import ModelInfo
from jobs.search.errors import (
    DocumentGone,
    DocumentUnreadable,
    StoreUnavailable,
    UnknownCollection,
    UnknownDocument,
)
from jobs.stats import QueueStats
from tests.support.documented import Endpoint
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MemoryQueue
from tests.support.vectors.memory_collections import MemoryCollections
from tests.unit.api.conftest import Connect
from tests.unit.api.openapi.documented_api import (
    DOCUMENT,
    DOCUMENTED,
    MODELS,
    ask,
    job_for,
    name_of,
)

_OF_JOBS = (errors.NoWorker, errors.UnknownModel, errors.QueueUnavailable, errors.ResultTimeout)
_OF_PAGES = (UnknownCollection, UnknownDocument)
RAISED_BY_SEARCHES: dict[str, tuple[type[JobError], ...]] = {
    "search": (errors.InvalidInput, UnknownCollection, *_OF_JOBS),
    "ask": (errors.InvalidInput, UnknownCollection, *_OF_JOBS),
    "list_documents": (UnknownCollection,),
    "retrieve_document": _OF_PAGES,
    "retrieve_page_image": (*_OF_PAGES, DocumentGone, DocumentUnreadable),
    "list_page_words": (*_OF_PAGES, DocumentGone, DocumentUnreadable),
    "search_vector_store": (errors.InvalidInput, UnknownCollection, *_OF_JOBS),
    "retrieve_vector_store": (UnknownCollection,),
    "list_vector_store_files": (UnknownCollection,),
    "retrieve_vector_store_file": _OF_PAGES,
    "retrieve_heatmap": (errors.InvalidInput, *_OF_PAGES, *_OF_JOBS),
}
"""What jobs.search.collections says, besides that the store is away."""
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


@pytest.mark.parametrize("endpoint", DOCUMENTED.endpoints, ids=name_of)
async def test_whatever_the_queue_raises_is_answered_as_documented(connect: Connect, endpoint: Endpoint):
    queue = FaultyQueue()
    client = connect(queue)
    for method, classes in RAISED.items():
        for cls in (*classes, errors.QueueUnavailable, errors.InternalError):
            queue.fault = None
            job_id = await job_for(endpoint, client)
            queue.fault = (method, cls())
            DOCUMENTED.check(await ask(client, endpoint, job_id))
            if endpoint.streams:
                DOCUMENTED.check(await ask(client, endpoint, job_id, stream=True))


@pytest.mark.parametrize("endpoint", DOCUMENTED.endpoints, ids=name_of)
async def test_an_error_nobody_foresaw_is_answered_as_documented(connect: Connect, endpoint: Endpoint):
    queue = FaultyQueue()
    client = connect(queue)
    job_id = await job_for(endpoint, client)
    for method in RAISED:
        queue.fault = (method, ValueError("nobody foresaw it"))
        DOCUMENTED.check(await ask(client, endpoint, job_id))


@pytest.mark.parametrize("endpoint", [each for each in DOCUMENTED.endpoints if each.example], ids=name_of)
async def test_examples_are_answered_and_what_is_wrong_is_refused_as_documented(
    connect: Connect, endpoint: Endpoint
):
    client = connect(MemoryQueue(MODELS), collections=MemoryCollections())
    answered = await ask(client, endpoint)
    assert answered.is_success
    DOCUMENTED.check(answered)
    for body in ("no object", {}, dict.fromkeys(endpoint.example, 1)):
        refused = await client.request(endpoint.method, endpoint.path, json=body)
        assert refused.status_code == 400
        DOCUMENTED.check(refused)
    for field in ("from", "source", "model"):  # the first of them names a model that must be there
        if field not in endpoint.example or endpoint.path == "/api/pull":  # that is not served yet
            continue
        unserved = await client.request(
            endpoint.method, endpoint.path, json={**endpoint.example, field: "unserved"}
        )
        assert unserved.status_code == 404
        DOCUMENTED.check(unserved)
        break
    large = await ask(connect(MemoryQueue(MODELS), max_body_bytes=1024), endpoint, padding="x" * 1024)
    assert large.status_code == 413
    DOCUMENTED.check(large)
    if endpoint.path != "/api/pull":  # that asks a machine, and no model
        nobody = await ask(connect(MemoryQueue(())), endpoint)
        assert nobody.status_code == 503
        DOCUMENTED.check(nobody)


SEARCHES = [
    each for each in DOCUMENTED.endpoints if "search" in each.said["tags"] and "200" in each.said["responses"]
]


@pytest.mark.parametrize("endpoint", SEARCHES, ids=name_of)
async def test_searches_and_what_they_end_with_are_answered_as_documented(
    connect: Connect, endpoint: Endpoint
):
    collections = MemoryCollections()
    client = connect(MemoryQueue(MODELS), collections=collections)
    found = await ask(client, endpoint)
    assert found.status_code == 200
    DOCUMENTED.check(found)
    for error in (StoreUnavailable, errors.InternalError, *RAISED_BY_SEARCHES.get(name_of(endpoint), ())):
        collections.failure = error()
        reply = await ask(client, endpoint)
        assert reply.json()["error"]["code"] == error.code
        DOCUMENTED.check(reply)
    DOCUMENTED.check(await ask(connect(MemoryQueue()), endpoint))


class PackingQueue(MemoryQueue):
    """Jobs are packed, as on their way to Redis."""

    async def submit(self, job: Job, options: SubmitOptions) -> Ticket:
        msgspec.msgpack.encode((job, options))
        return await super().submit(job, options)


@pytest.mark.parametrize("endpoint", [each for each in DOCUMENTED.endpoints if each.example], ids=name_of)
async def test_no_number_is_too_large_to_be_answered_as_documented(connect: Connect, endpoint: Endpoint):
    client = connect(PackingQueue(MODELS), collections=MemoryCollections())
    schema = endpoint.said["requestBody"]["content"]["application/json"]["schema"]
    for each in schema.get("anyOf", [schema]):
        component = DOCUMENT["components"]["schemas"][each["$ref"].rpartition("/")[2]]
        for name, said in component["properties"].items():
            if '"integer"' in json.dumps(said) or '"number"' in json.dumps(said):
                for number in (10**30, -(10**30)):
                    reply = await ask(client, endpoint, **{name: number})
                    assert reply.status_code < 500, (name, number)
                    DOCUMENTED.check(reply)


async def test_a_name_that_may_mean_two_models_is_refused_as_documented(connect: Connect):
    two = tuple(msgspec.structs.replace(CHAT_MODEL, id=name) for name in ("one/chat", "two/chat"))
    client = connect(MemoryQueue(two))
    for endpoint in DOCUMENTED.endpoints:
        if "model" in (endpoint.example or {}):
            DOCUMENTED.check(await ask(client, endpoint, model="chat"))
    reply = await client.get("/v1/models/chat")
    assert reply.status_code == 400
    DOCUMENTED.check(reply)
