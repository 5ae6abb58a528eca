"""Answers that pause for long, read by the official clients of every dialect, in Python and in JavaScript."""

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from api.work.stream import EventStream
from jobs.generate import Piece, Pieces, ToolCall
from jobs.store import keys
from jobs.store.connection import connect
from jobs.store.redis_server import RedisServer
from tests.conformance import node_clients, readers
from tests.conformance.conftest import Serve
from tests.conformance.impatient_proxy import impatient_proxy
from tests.conformance.readers import Answer, Asked
from tests.conformance.silent_worker import MARKERS
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MemoryQueue
from tests.support.stack import ROOT, Program
from tests.support.waiting import PATIENCE_S, wait_until

TOOL: dict[str, Any] = {
    "name": "ask",
    "parameters": {
        "type": "object",
        "properties": {"question": {"type": "string"}},
        "required": ["question"],
        "additionalProperties": False,
    },
}
HELLO = Asked("", CHAT_MODEL.id, "hello")

WITHHELD = Piece(tokens=(1,))
CALL = ToolCall("c1", "ask", '{"question": "Why?"}')
ANSWERS = {
    "text": (
        (Piece(text="one", tokens=(1,)), WITHHELD, Piece(text=" two", tokens=(1,), finish_reason="stop")),
        Answer("one two", []),
    ),
    "call": (
        (WITHHELD, WITHHELD, Piece(tokens=(1,), tool_calls=(CALL,), finish_reason="tool_calls")),
        Answer("", [("ask", {"question": "Why?"})]),
    ),
}

DEATH_S = 25.0
HELD_BACK_S = 40.0
PROXY_S = 20.0
"""Silence that a proxy puts up with: longer than a sign of life takes on a busy machine, shorter than the others."""
SPOKEN = 40
"""Tokens that a worker writes before it dies."""
STORY = ", ".join(f"word {n}" for n in range(30))
QUESTION = {"question": " ".join(f"Why {n}?" for n in range(60))}


class Pausing(MemoryQueue):
    """A pause before each event of an answer."""

    def __init__(self, *pieces: Piece) -> None:
        super().__init__(models=(CHAT_MODEL,))
        self._pieces = pieces

    async def stream(self, job_id: str, after: int = 0):
        for number, piece in enumerate(self._pieces, 1):
            await asyncio.sleep(0.2)
            yield number, Pieces(1, 0, (piece,))


@pytest.fixture(scope="module", autouse=True)
def _clients() -> None:
    node_clients.install_clients()


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signs of life come in every pause, before the first event too."""
    monkeypatch.setattr("api.work.stream.STATUS_WITHIN_S", 0.02)
    for module in ("api.work.stream", "api.dialects.mlxq.job_events"):
        monkeypatch.setattr(f"{module}.EventStream", partial(EventStream, keep_alive_s=0.02))
        monkeypatch.setattr(f"{module}.KEEP_ALIVE_S", 0.02)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Has a thread for each client."""
    with ThreadPoolExecutor(64) as pool:
        yield pool


def read_all(pool: ThreadPoolExecutor, asked: Asked) -> Future[dict[str, Answer]]:
    """Every client reads the answer, all at the same time; what they read, by their names."""
    python = readers.CALL_READERS if asked.tool else readers.TEXT_READERS
    node = pool.submit(node_clients.read_all, asked, 240)
    reading = {f"python {read.__name__}": pool.submit(read, asked) for read in python}
    return pool.submit(lambda: node.result() | {name: each.result() for name, each in reading.items()})


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("kind", ANSWERS)
def test_signs_of_life_are_nothing_to_a_client(pool: ThreadPoolExecutor, serve: Serve, kind: str):
    pieces, answer = ANSWERS[kind]
    asked = HELLO._replace(url=serve(Pausing(*pieces)), tool=TOOL if kind == "call" else None)
    found = read_all(pool, asked).result()
    assert found == dict.fromkeys(found, answer)
    body = {"model": asked.model, "messages": asked.messages, "stream": True}
    for path, sign in (("v1/chat/completions", ": waiting\n"), ("v1/messages", "event: ping\n")):
        assert (
            sign in httpx.post(f"{asked.url}/{path}", json={**body, "max_tokens": 9}, timeout=PATIENCE_S).text
        )


@pytest.mark.usefixtures("_impatient")
def test_signs_of_life_are_nothing_to_who_reads_a_jobs_stream(serve: Serve):
    pieces, answer = ANSWERS["text"]
    base_url = f"{serve(Pausing(*pieces))}/v1"
    body = {"task": "generate", "model": HELLO.model, "messages": HELLO.messages, "stream": True}
    with openai.OpenAI(base_url=base_url, api_key="unused", max_retries=0) as client:
        job = client.post("/jobs", cast_to=dict[str, object], body=body)
        chunks = client.get(
            f"/jobs/{job['id']}/events",
            cast_to=ChatCompletionChunk,
            stream=True,
            stream_cls=openai.Stream[ChatCompletionChunk],
        )
        assert readers.chat_of(chunks) == answer


class Silence:
    """Redis and the API, without a worker at first. url: leads through a proxy that closes what is silent."""

    def __init__(self, folder: Path, model: str) -> None:
        self._folder = folder
        self._model = model
        self._open = contextlib.ExitStack()
        self._logs = (folder / f"program-{number}.log" for number in itertools.count())

    def __enter__(self) -> "Silence":
        with self._open:
            self._server = self._open.enter_context(RedisServer(self._folder / "redis"))
            self._redis = connect(self._server.url)
            self._open.callback(self._redis.close)
            self._api = self._run("-m", "cli.main", "serve", "--port", "0", REDIS_URL=self._server.url)
            self._open = self._open.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def work(self, *, pace_s: float, most: int = 0) -> Program:
        """A worker begins to start."""
        script = str(ROOT / "tests" / "conformance" / "silent_worker.py")
        return self._run(script, self._server.url, self._model, str(pace_s), str(most))

    def wait_until_ready(self) -> None:
        url = self._api.wait_for(r"serves (http\S+),")[1]
        wait_until(lambda: httpx.get(f"{url}/ready", timeout=PATIENCE_S).status_code == 200)
        self.url = self._open.enter_context(impatient_proxy(url, PROXY_S))

    def streams(self) -> int:
        """How many have begun."""
        return sum(1 for _ in self._redis.scan_iter(match=keys.stream("*")))

    def _run(self, *command: str, **environ: str) -> Program:
        program = Program(next(self._logs), *command, **environ)
        self._open.callback(program.stop)
        return program


def test_every_client_reads_one_whole_answer_through_a_death_and_through_a_held_back_call(
    pool: ThreadPoolExecutor, tmp_path: Path
):
    before, behind = MARKERS
    call = f"{before}{json.dumps({'name': 'ask', 'arguments': QUESTION})}{behind}"
    with Silence(tmp_path / "a", "story") as story, Silence(tmp_path / "b", "call") as calling:
        dying = story.work(pace_s=0.02, most=SPOKEN)
        calling.work(pace_s=HELD_BACK_S / len(call))
        story.wait_until_ready()
        calling.wait_until_ready()
        begun_at = time.monotonic()
        called = read_all(pool, Asked(calling.url, "call", call, TOOL))
        told = read_all(pool, Asked(story.url, "story", STORY))
        clients = len(readers.TEXT_READERS) + node_clients.TEXT_READERS
        wait_until(lambda: story.streams() == clients)
        dying.process.kill()
        time.sleep(DEATH_S)
        assert not told.done()
        story.work(pace_s=0)
        found = told.result()
        assert found == dict.fromkeys(found, Answer(STORY, []))
        assert len(found) == clients
        found = called.result()
        assert found == dict.fromkeys(found, Answer("", [("ask", QUESTION)]))
        assert time.monotonic() - begun_at >= HELD_BACK_S
