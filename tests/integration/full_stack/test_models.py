"""Two models of which one fits into memory, in real processes, over HTTP."""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime

import pytest

from jobs.settings import Settings
from tests.support.stack import MODEL, ROOT, Stack
from tests.support.waiting import wait_until
from workers.models.open import open_runner

CHAT = {
    "model": "tiny-chat",
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "temperature": 0,
}
EMBED = {"model": MODEL, "input": "a cat"}


STARVATION_S = 1
"""A model that a caller waited for stays for six times as long; work of lane `default` waits until then."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    budget_bytes = open_runner(MODEL, Settings()).weight_bytes
    models = (MODEL, f"tiny-chat={ROOT / 'examples' / 'tiny_chat' / 'model'}")
    folder = tmp_path_factory.mktemp("stack")
    with Stack(folder, *models, model_bytes=budget_bytes, starvation_s=STARVATION_S) as stack:
        yield stack


def ask(stack: Stack, path: str, body: Mapping[str, object], **headers: str) -> dict:
    reply = stack.http.post(stack.url + path, json=body, headers=headers)
    assert reply.status_code in (200, 202), reply.text
    return reply.json()


def in_memory(stack: Stack) -> list[str]:
    return [each["name"] for each in stack.http.get(f"{stack.url}/api/ps").json()["models"]]


def loads(stack: Stack) -> int:
    return stack.worker.said.count("model loaded")


def chat(stack: Stack) -> str:
    return ask(stack, "/v1/chat/completions", CHAT)["choices"][0]["message"]["content"]


def ended_as(stack: Stack, job_id: str) -> str | None:
    """The job's status, once it has ended."""
    status = stack.job(job_id, wait=30)["status"]
    return None if status in ("queued", "started") else status


def test_requests_choose_the_model_and_each_is_answered(stack: Stack):
    assert in_memory(stack) == [f"{MODEL}:latest"]
    vector = ask(stack, "/v1/embeddings", EMBED)["data"][0]["embedding"]
    for _ in range(3):
        assert chat(stack) == "The capital of France is Paris."
        assert ask(stack, "/v1/embeddings", EMBED)["data"][0]["embedding"] == pytest.approx(vector, abs=1e-5)


def test_mixed_work_in_the_queue_is_done_model_by_model(stack: Stack):
    before = loads(stack)
    jobs: list[str] = []
    for _ in range(40):
        jobs.append(ask(stack, "/v1/embeddings", EMBED, Prefer="respond-async")["id"])
        jobs.append(ask(stack, "/v1/chat/completions", CHAT, Prefer="respond-async")["id"])
    for job_id in jobs:
        assert wait_until(lambda job_id=job_id: ended_as(stack, job_id)) == "finished"
    assert 1 <= loads(stack) - before < 20


def test_ollamas_clients_load_and_unload(stack: Stack):
    for model, path in (("tiny-chat", "/api/generate"), (MODEL, "/api/embed")):
        assert ask(stack, path, {"model": model, "keep_alive": "10m"}).get("done_reason", "load") == "load"
        time.sleep(0.5)  # what has changed is told at once
        assert in_memory(stack) == [f"{model}:latest"]
        [shown] = stack.http.get(f"{stack.url}/api/ps").json()["models"]
        left_s = datetime.fromisoformat(shown["expires_at"]).timestamp() - time.time()
        assert 500 < left_s <= 600
        assert len(shown["digest"]) == 64 and shown["details"]["parameter_size"]
        body = {"model": f"{model}:latest", "prompt": "", "keep_alive": 0}
        assert ask(stack, "/api/generate", body)["done_reason"] == "unload"
        wait_until(lambda: in_memory(stack) == [])
    assert chat(stack) == "The capital of France is Paris."
