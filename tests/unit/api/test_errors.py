import logging

import httpx
import pytest

from jobs import errors
from jobs.chats.chat import ChatsFull, UnknownChat
from jobs.ingests.ingests import FolderNotAllowed
from jobs.machines.commands import HubUnavailable, PullRefused
from jobs.search.errors import (
    CollectionBusy,
    DocumentGone,
    DocumentUnreadable,
    StoreUnavailable,
    UnknownCollection,
    UnknownDocument,
)
from tests.support.memory_queue import MemoryQueue
from tests.unit.api.conftest import Connect

WORK = {"model": "org/model", "input": "a secret text"}

STATUSES = [
    (errors.InvalidInput(param="input"), 400, "invalid_request_error"),
    (errors.InputTooLong(param="input"), 400, "invalid_request_error"),
    (errors.UnknownModel(param="model"), 404, "invalid_request_error"),
    (errors.BlobGone(), 400, "invalid_request_error"),
    (errors.UnknownJob(), 404, "invalid_request_error"),
    (errors.ResultTooLarge(), 400, "invalid_request_error"),
    (errors.IdempotencyConflict(), 409, "invalid_request_error"),
    (errors.Overloaded(retry_after_s=7), 429, "rate_limit_error"),
    (errors.QueueUnavailable(), 503, "server_error"),
    (errors.ServerStopping(), 503, "server_error"),
    (errors.NoWorker(), 503, "server_error"),
    (errors.ResultTimeout(), 504, "server_error"),
    (errors.JobCanceled(), 409, "invalid_request_error"),
    (errors.JobStopped(), 409, "invalid_request_error"),
    (errors.JobExpired(), 504, "server_error"),
    (errors.TimeLimitExceeded(), 504, "server_error"),
    (errors.WorkerLost(), 500, "server_error"),
    (errors.ModelNotLoadable(), 500, "server_error"),
    (errors.ModelChanged(), 503, "server_error"),
    (errors.UnreadableJob(), 500, "server_error"),
    (errors.UnreadableResult(), 500, "server_error"),
    (errors.InternalError(), 500, "server_error"),
    (UnknownCollection(param="collection"), 404, "invalid_request_error"),
    (UnknownDocument(), 404, "invalid_request_error"),
    (CollectionBusy(), 409, "invalid_request_error"),
    (DocumentGone(), 410, "invalid_request_error"),
    (DocumentUnreadable(), 422, "invalid_request_error"),
    (StoreUnavailable(), 503, "server_error"),
    (FolderNotAllowed(), 400, "invalid_request_error"),
    (UnknownChat(), 404, "invalid_request_error"),
    (ChatsFull(), 400, "invalid_request_error"),
    (PullRefused(), 400, "invalid_request_error"),
    (HubUnavailable(), 502, "server_error"),
]


def leaves(cls: type[errors.JobError]) -> set[type[errors.JobError]]:
    return {cls}.union(*(leaves(child) for child in cls.__subclasses__()))


@pytest.mark.parametrize(
    ("error", "status", "kind"), STATUSES, ids=lambda value: getattr(value, "code", None)
)
async def test_each_error_has_its_status_and_envelope(
    connect: Connect, error: errors.JobError, status: int, kind: str
):
    reply = await connect(MemoryQueue(refusal=error)).post("/v1/embeddings", json=WORK)
    assert reply.status_code == status
    assert reply.json() == {
        "error": {"message": error.message, "type": kind, "param": error.param, "code": error.code}
    }


def test_no_error_is_forgotten_above():
    assert {type(error) for error, _, _ in STATUSES} == leaves(errors.JobError) - {errors.JobError}


async def test_a_failed_job_is_answered_like_a_refused_one(connect: Connect):
    queue = MemoryQueue(failure=errors.InputTooLong("Too long.", param="input"))
    reply = await connect(queue).post("/v1/embeddings", json=WORK)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize(
    ("error", "retry_after"),
    [
        (errors.Overloaded(retry_after_s=7), "7"),
        (errors.QueueUnavailable(), "1"),
        (errors.ServerStopping(), "1"),
        (errors.NoWorker(), "5"),
    ],
)
async def test_who_may_come_back_is_told_when(connect: Connect, error: errors.JobError, retry_after: str):
    reply = await connect(MemoryQueue(refusal=error)).post("/v1/embeddings", json=WORK)
    assert reply.headers["retry-after"] == retry_after


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/v1/nothing", 404, "not_found"), ("GET", "/v1/embeddings", 405, "method_not_allowed")],
)
async def test_unknown_routes_answer_in_the_envelope(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
):
    reply = await client.request(method, path)
    assert reply.status_code == status
    assert reply.json()["error"]["code"] == code
    assert path in reply.json()["error"]["message"]


async def test_an_unforeseen_error_is_logged_with_its_traceback_but_not_shown(
    connect: Connect, caplog: pytest.LogCaptureFixture
):
    class Broken(MemoryQueue):
        async def ready(self) -> bool:
            raise ZeroDivisionError("the inner workings")

    with caplog.at_level(logging.ERROR, "mlxq.api"):
        reply = await connect(Broken()).get("/ready")
    assert reply.status_code == 500
    assert reply.json()["error"]["code"] == "internal_error"
    assert "inner workings" not in reply.text
    assert "ZeroDivisionError" in caplog.text
    assert caplog.records[0].__dict__["path"] == "/ready"


async def test_no_log_shows_what_was_to_be_embedded(connect: Connect, caplog: pytest.LogCaptureFixture):
    class Broken(MemoryQueue):
        async def submit(self, job: object, options: object):  # pyright: ignore
            raise ZeroDivisionError

    with caplog.at_level(logging.DEBUG):
        await connect(Broken()).post("/v1/embeddings", json=WORK)
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("error", [error for error, _, _ in STATUSES], ids=lambda error: error.code)
async def test_a_client_is_told_what_it_is_no_use_to_send_again(connect: Connect, error: errors.JobError):
    final = {
        "idempotency_key_reused", "job_canceled", "job_expired", "job_stopped", "model_not_loadable",
        "time_limit_exceeded", "timeout", "unreadable_job", "unreadable_result", "worker_lost",
        "document_gone", "document_unreadable",
    }  # fmt: skip
    reply = await connect(MemoryQueue(refusal=error)).post("/v1/embeddings", json=WORK)
    assert reply.headers.get("x-should-retry") == ("false" if error.code in final else None)
