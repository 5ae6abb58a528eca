"""Ctrl-C with callers who wait: each gets an answer, their jobs end, and what others rely on is kept."""

import json
import signal
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from jobs.store import keys
from jobs.store.connection import connect
from jobs.store.redis_server import RedisServer
from tests.checkpoints.rerankers import make
from tests.support.folders import TINY_CHAT
from tests.support.stack import MODEL, Program, Stack
from tests.support.waiting import wait_until

MESSAGES = [{"role": "user", "content": "Tell me a story."}]
STORY = {"model": "tiny-chat", "messages": MESSAGES, "temperature": 0}
PAIRS = {"model": "ranker", "query": "a cat", "documents": ["a kitten", "a car"]}
TEXTS = {"query": "a cat", "texts": ["a kitten", "a car"]}
KEPT = "kept"


class Call(NamedTuple):
    path: str
    body: dict[str, Any]
    headers: dict[str, str] = {}


OPENAI = {
    "embedding": Call("/v1/embeddings", {"model": MODEL, "input": "a"}),
    "chat": Call("/v1/chat/completions", STORY),
    "prompts": Call("/v1/completions", {"model": "tiny-chat", "prompt": ["Once", "Twice"]}),
    "stream": Call("/v1/chat/completions", STORY | {"stream": True}),
    "completion": Call("/v1/completions", {"model": "tiny-chat", "prompt": "Once", "stream": True}),
    "vllm": Call("/v1/score", {"model": "ranker", "text_1": "a", "text_2": ["b"]}),
    "keyed": Call("/v1/embeddings", {"model": MODEL, "input": "b"}, {"Idempotency-Key": KEPT}),
    "keyed stream": Call("/v1/chat/completions", STORY | {"stream": True}, {"Idempotency-Key": KEPT + "2"}),
}
OTHERS = {
    "messages": Call("/v1/messages", {"model": "tiny-chat", "max_tokens": 9, "messages": MESSAGES}),
    "ollama": Call("/api/chat", STORY),
    "ollama raw": Call("/api/generate", {"model": "tiny-chat", "prompt": "Once", "stream": False}),
    "jina": Call("/v1/rerank", PAIRS),
    "cohere": Call("/v2/rerank", PAIRS),
    "tei": Call("/rerank", TEXTS),
}
ACCEPTED = Call("/v1/embeddings", {"model": MODEL, "input": "c"}, {"Prefer": "respond-async, wait=50"})


def message_of(name: str, reply: httpx.Response) -> str:
    """What the dialect's error says, from where that dialect has it."""
    body = reply.json()
    match name:
        case "messages":
            assert body["type"] == "error"
            return body["error"]["message"]
        case "ollama" | "ollama raw":
            return body["error"]
        case "jina":
            return body["detail"]
        case "cohere":
            return body["message"]
        case "tei":
            assert body["error_type"]
            return body["error"]
        case _:
            return body["error"]["message"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as server:
        yield server


def post(url: str, call: Call) -> httpx.Response:
    return httpx.post(url + call.path, json=call.body, headers=call.headers, timeout=120, trust_env=False)


def queued(url: str) -> int:
    stats = httpx.get(f"{url}/v1/queue/stats", timeout=60, trust_env=False).json()
    return stats["queue_stats"]["queue_size"]


def statuses(url: str, server: RedisServer) -> dict[str, int]:
    with connect(server.url) as redis:
        names: Any = redis.keys(f"{keys.JOB_PREFIX}*")
        found = [redis.hget(name, "status") for name in names]
    return {status.decode(): found.count(status) for status in set(found) if isinstance(status, bytes)}


def assert_no_error(said: str) -> None:
    assert not [line for line in said.splitlines() if " ERROR " in line or "Traceback" in line], said


def test_ctrl_c_answers_all_who_wait_and_ends_their_jobs(server: RedisServer, tmp_path: Path):
    ranker = make("bert", tmp_path / "ranker")
    models = [each for model in (MODEL, f"tiny-chat={TINY_CHAT}", ranker) for each in ("--model", str(model))]
    command = ("-m", "cli.main", "up", "--port", "0", "--redis", server.url, *models)
    with connect(server.url) as redis:
        redis.set(keys.SUSPENDED, 1)  # the worker lives and takes nothing
    calls = OPENAI | OTHERS
    with ThreadPoolExecutor(len(calls) + 1) as pool:
        up = Program(tmp_path / "up.log", *command)
        try:
            url = up.wait_for(r"starts on (\S+)", 60)[1]
            up.wait_for("^Ready", 120)
            replies = {name: pool.submit(post, url, call) for name, call in calls.items()}
            accepted = pool.submit(post, url, ACCEPTED)
            # One call is two jobs. One that is answered at once was a wrong one.
            early = list[str]()
            wait_until(
                lambda: (
                    early.extend(each.result().text for each in replies.values() if each.done())
                    or early
                    or queued(url) == len(calls) + 2
                )
            )
            assert not early
            up.process.send_signal(signal.SIGINT)

            for name, waiting in replies.items():
                reply = waiting.result(100)
                assert reply.status_code == 503, (name, reply.text)
                assert int(reply.headers["retry-after"]) >= 1, name
                assert "stopping" in message_of(name, reply), name
            assert accepted.result(100).status_code == 202
            assert up.process.wait(60) == 0
        finally:
            up.stop()
    assert statuses(url, server) == {"queued": 3, "canceled": len(calls) + 2 - 3}
    assert_no_error(up.said)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    # Long leases: no other worker takes over what a frozen one holds.
    with Stack(tmp_path_factory.mktemp("stack"), MODEL, f"tiny-chat={TINY_CHAT}", lease_s=600) as stack:
        yield stack


STREAMS = {
    "/v1/chat/completions": STORY | {"stream": True},
    "/v1/messages": {"model": "tiny-chat", "max_tokens": 400, "messages": MESSAGES, "stream": True},
    "/api/chat": STORY | {"stream": True},
}


def read(url: str, path: str, body: dict[str, Any], begun: list[str]) -> str:
    """All that a stream says; its job goes to `begun` with the first of it."""
    with httpx.stream("POST", url + path, json=body, timeout=120, trust_env=False) as reply:
        said = b""
        for piece in reply.iter_raw():
            said += piece
            if len(said) == len(piece):
                begun.append(reply.headers["x-job-id"])
    return said.decode()


def stopped(stack: Stack, paths: Sequence[str]) -> tuple[list[str], Program, list[str]]:
    """What streams said that had begun when `mlxq serve` was stopped, that server, and their jobs."""
    api = stack.run("serve", "--port", "0")
    url = api.wait_for(r"serves (http\S+),")[1]
    begun: list[str] = []
    with ThreadPoolExecutor() as pool:
        reading = [pool.submit(read, url, path, STREAMS[path], begun) for path in paths]
        wait_until(lambda: len(begun) == len(paths))
        stack.worker_process.suspend()  # what has begun goes on no more
        try:
            assert api.stop() == 0
            return [each.result(60) for each in reading], api, begun
        finally:
            stack.worker_process.resume()


def test_a_stream_that_has_begun_ends_with_its_dialects_failure(stack: Stack):
    (chat, messages, ollama), api, jobs = stopped(stack, [*STREAMS])

    assert '"code":"server_stopping"' in chat.splitlines()[-2] and "[DONE]" not in chat
    assert messages.splitlines()[-3] == "event: error" and "stopping" in messages.splitlines()[-2]
    assert "stopping" in json.loads(ollama.splitlines()[-1])["error"]
    assert {stack.job(job_id)["status"] for job_id in jobs} == {"canceled"}
    assert_no_error(api.said)


def test_slow_uploads_do_not_hold_the_end_up(stack: Stack):
    url = stack.serve()
    api = stack._programs[-1]
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as caller:
        caller.sendall(
            b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
        )
        assert caller.recv(4096).startswith(b"HTTP/1.1 100 ")  # sent when the API begins to read the body
        caller.sendall(b"{")
        assert api.stop() == 0
        assert caller.recv(4096).startswith(b"HTTP/1.1 503 ")
    assert_no_error(api.said)
