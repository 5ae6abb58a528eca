"""What tests of text generation share: asking, reading streams, and a caller that may hang up."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import httpx
from starlette.types import ASGIApp, Message

from jobs.generate import Chat, GenerateJob, Piece, Pieces, Prompt
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MemoryQueue

HELLO: list[dict[str, Any]] = [{"role": "user", "content": "one two three"}]
CHAT: dict[str, Any] = {"model": CHAT_MODEL.id, "messages": HELLO}


async def chat(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/v1/chat/completions", json={**CHAT, **fields})


async def complete(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    body = {"model": CHAT_MODEL.id, "prompt": "one two three", **fields}
    return await client.post("/v1/completions", json=body)


def last_job(queue: MemoryQueue) -> GenerateJob:
    job = queue.submitted[-1][0]
    assert isinstance(job, GenerateJob)
    return job


def last_chat(queue: MemoryQueue) -> Chat:
    prompt = last_job(queue).prompt
    assert isinstance(prompt, Chat)
    return prompt


def prompts(queue: MemoryQueue) -> list[object]:
    jobs = [job for job, _ in queue.submitted if isinstance(job, GenerateJob)]
    return [job.prompt.content for job in jobs if isinstance(job.prompt, Prompt)]


class Sent(NamedTuple):
    """A server-sent event. data: parsed, unless it is [DONE]."""

    id: int | None
    data: Any


def sent_events(text: str) -> list[Sent]:
    """Strict: every line is `id: N` or `data: JSON`, each event ends with an empty line. Comments are left out."""
    assert text.endswith("\n\n")
    return [_sent(block) for block in text.removesuffix("\n\n").split("\n\n") if not block.startswith(":")]


def _sent(block: str) -> Sent:
    *head, data = block.split("\n")
    assert len(head) <= 1 and all(line.startswith("id: ") for line in head)
    assert data.startswith("data: ")
    raw = data.removeprefix("data: ")
    number = int(head[0].removeprefix("id: ")) if head else None
    return Sent(number, raw if raw == "[DONE]" else json.loads(raw))


def chunks_of(events: Iterable[Sent]) -> list[dict[str, Any]]:
    return [event.data for event in events if isinstance(event.data, dict)]


def deltas(events: Iterable[Sent], choice: int = 0) -> list[dict[str, Any]]:
    found = [each for chunk in chunks_of(events) for each in chunk["choices"]]
    return [each["delta"] for each in found if each["index"] == choice]


def said(*pieces: Piece) -> Pieces:
    """One event of a stream whose prompt has three tokens, one of them from the cache."""
    return Pieces(prompt_tokens=3, cached_tokens=1, pieces=pieces)


class ScriptedQueue(MemoryQueue):
    """Streams what the test puts into `script`: events, an exception, or None for the end. Jobs run until canceled."""

    def __init__(self) -> None:
        super().__init__(models=(CHAT_MODEL,), held=True)
        self.script: asyncio.Queue[Pieces | Exception | None] = asyncio.Queue()
        self.listening = asyncio.Event()
        self.left = asyncio.Event()

    async def stream(self, job_id: str, after: int = 0):
        self.listening.set()
        number = after
        try:
            while (item := await self.script.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                number += 1
                yield number, item
        finally:
            self.left.set()


class Caller:
    """One request to an ASGI application, read piece by piece, as a server would pass it on.

    broken: writing to the connection fails, as some servers tell of a caller that is gone.
    """

    def __init__(self, app: ASGIApp, method: str, path: str, body: object = None, **headers: str) -> None:
        self.broken = False
        self._disconnected = asyncio.Event()
        self._asked = False
        self._raw = json.dumps(body).encode() if body else b""
        self._sent: asyncio.Queue[Message] = asyncio.Queue()
        path, _, query = path.partition("?")
        pairs = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
            "headers": pairs, "root_path": "", "scheme": "http", "server": ("mlxq", 80), "http_version": "1.1",
        }  # fmt: skip
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def message(self) -> Message:
        async with asyncio.timeout(60):
            return await self._sent.get()

    async def body(self) -> bytes:
        """The next write."""
        return (await self.message())["body"]

    async def ended(self) -> None:
        async with asyncio.timeout(60):
            await self.task

    @property
    def is_answered(self) -> bool:
        return not self._sent.empty()

    def disconnect(self) -> None:
        self._disconnected.set()

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._raw, "more_body": False}
        await self._disconnected.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self.broken:
            raise OSError
        self._sent.put_nowait(message)


async def stream_body(
    script: ScriptedQueue, app: ASGIApp, path: str, body: object, *items: Pieces | Exception | None
) -> bytes:
    """All that a caller reads of a stream of these events. Its status is 200."""
    for item in items:
        script.script.put_nowait(item)
    caller = Caller(app, "POST", path, body)
    await caller.ended()
    assert (await caller.message())["status"] == 200
    read = b""
    while caller.is_answered:
        read += await caller.body()
    return read
