"""What a streaming caller is told while there is nothing to tell, in every dialect."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message

from api.app import create_app
from api.work.stream import EventStream
from jobs.errors import InputTooLong, JobError, ResultTimeout
from jobs.generate import GenerateJob, Piece, Pieces, Prompt
from jobs.job import SubmitOptions
from jobs.settings import Settings
from tests.support.chat_requests import CHAT, Caller, ScriptedQueue
from tests.support.memory_generation import CHAT_MODEL

KEEP_ALIVE_S = 0.05
PROMPT: dict[str, Any] = {"model": CHAT_MODEL.id, "prompt": "one two three", "stream": True}
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {**CHAT, "stream": True}),
    "answers": ("/v1/chat/completions", {**CHAT, "stream": True, "n": 2}),
    "usage": ("/v1/chat/completions", {**CHAT, "stream": True, "stream_options": {"include_usage": True}}),
    "completion": ("/v1/completions", PROMPT),
    "completions": ("/v1/completions", {**PROMPT, "prompt": ["one", "two"]}),
    "message": ("/v1/messages", {**CHAT, "stream": True, "max_tokens": 9}),
    "ollama chat": ("/api/chat", CHAT),
    "ollama prompt": ("/api/generate", PROMPT),
}
SERVER_SENT = [name for name, (path, _) in ASKED.items() if path.startswith("/v1/")]

WITHHELD = Pieces(3, 0, (Piece(tokens=(1,)),))
TEXT = Pieces(3, 0, (Piece(text="one", tokens=(1,)),))


class TimedCaller(Caller):
    """at: when each message was sent, by the loop's clock."""

    def __init__(self, app: FastAPI, path: str, body: object = None, **headers: str) -> None:
        self.at: list[float] = []
        super().__init__(app, "POST" if body else "GET", path, body, **headers)

    async def begun(self) -> None:
        assert (await self.message())["status"] == 200

    async def signs(self, count: int) -> bytes:
        """The body up to so many signs of life."""
        found = b""
        while count:
            part = await self.body()
            count -= is_sign(part)
            found += part
        return found

    async def rest(self) -> bytes:
        """The body to its end."""
        await self.ended()
        found = b""
        while self.is_answered:
            found += await self.body()
        return found

    async def leave(self) -> None:
        self.disconnect()
        await self.ended()

    async def _send(self, message: Message) -> None:
        self.at.append(asyncio.get_running_loop().time())
        await super()._send(message)


def is_sign(part: bytes) -> bool:
    """Whether it says that the stream lives, and no more."""
    if part.startswith(b"{"):
        line = json.loads(part)
        return line.get("done") is False and b'"one"' not in part
    return part in (b": waiting\n", b": waiting\n\n", b'event: ping\ndata: {"type":"ping"}\n\n')


def empty_events(text: str) -> int:
    """How many events have no data to a client for which an event's id alone makes it one, as OpenAI's."""
    found, seen_id, data = 0, False, False
    for line in text.splitlines():
        seen_id = seen_id or line.startswith("id:")
        data = data or line.startswith("data:")
        if not line:
            found += seen_id and not data
            data = False
    return found


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("api.work.stream", "api.dialects.mlxq.job_events"):
        monkeypatch.setattr(f"{module}.EventStream", partial(EventStream, keep_alive_s=KEEP_ALIVE_S))
    monkeypatch.setattr("api.dialects.mlxq.job_events.KEEP_ALIVE_S", KEEP_ALIVE_S)


@pytest.fixture(params=list(ASKED))
def asked(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return ASKED[request.param]


@asynccontextmanager
async def coming(script: ScriptedQueue, event: Pieces) -> AsyncIterator[None]:
    """Such events come faster than signs of life are due."""

    async def go_on() -> None:
        while True:
            script.script.put_nowait(event)
            await asyncio.sleep(KEEP_ALIVE_S / 5)

    task = asyncio.create_task(go_on())
    yield
    task.cancel()


async def test_events_of_which_nothing_is_told_leave_no_caller_in_silence(
    script: ScriptedQueue, app: FastAPI, asked: tuple[str, dict[str, Any]]
):
    caller = TimedCaller(app, *asked)
    async with coming(script, WITHHELD):
        await caller.begun()
        await caller.signs(4)
    await caller.leave()


async def test_a_caller_that_is_told_something_needs_no_sign(
    script: ScriptedQueue, app: FastAPI, asked: tuple[str, dict[str, Any]]
):
    caller = TimedCaller(app, *asked)
    parts: list[bytes] = []
    async with coming(script, TEXT):
        await caller.begun()
        while b"".join(parts).count(b'"one"') < 20:
            parts.append(await caller.body())
    await caller.leave()
    for n, part in enumerate(parts):  # a slow machine may be silent
        assert not is_sign(part) or caller.at[n + 1] - caller.at[n] >= KEEP_ALIVE_S


async def test_a_silent_stream_gives_signs_and_goes_on(
    script: ScriptedQueue, app: FastAPI, asked: tuple[str, dict[str, Any]]
):
    script.script.put_nowait(TEXT)
    caller = TimedCaller(app, *asked)
    await caller.begun()
    assert b'"one"' in await caller.signs(2)
    script.script.put_nowait(TEXT)
    assert b'"one"' in await caller.signs(1)
    await caller.leave()


@pytest.mark.parametrize("name", SERVER_SENT)
async def test_no_sign_is_an_empty_event(script: ScriptedQueue, app: FastAPI, name: str):
    caller = TimedCaller(app, *ASKED[name])
    body = b""
    script.script.put_nowait(WITHHELD)
    await caller.begun()
    for event in (TEXT, WITHHELD, TEXT):
        body += await caller.signs(2)
        script.script.put_nowait(event)
    body += await caller.signs(1)
    await caller.leave()
    assert body.count(b'"one"') == 2
    assert empty_events(body.decode()) == 0


async def test_a_job_that_is_read_again_shows_that_it_lives(script: ScriptedQueue, app: FastAPI):
    job = GenerateJob(model=CHAT_MODEL.id, prompt=Prompt("one"), stream=True)
    ticket = await script.submit(job, SubmitOptions())
    caller = TimedCaller(app, f"/v1/jobs/{ticket.id}/events?after=1000000")
    async with coming(script, TEXT):  # the caller has them all
        await caller.begun()
        assert await caller.signs(3) == 3 * b": waiting\n"
    await caller.leave()


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream need not have begun for its status."""
    monkeypatch.setattr("api.work.stream.STATUS_WITHIN_S", 0.01)


@pytest.mark.usefixtures("early")
async def test_a_stream_that_waits_long_for_its_start_is_alive(
    script: ScriptedQueue, app: FastAPI, asked: tuple[str, dict[str, Any]]
):
    caller = TimedCaller(app, *asked)
    await caller.begun()
    await caller.signs(2)
    script.script.put_nowait(TEXT)
    assert b'"one"' in await caller.signs(1)
    await caller.leave()


@pytest.mark.usefixtures("early")
async def test_an_error_after_the_status_is_told_in_the_stream(
    script: ScriptedQueue, app: FastAPI, asked: tuple[str, dict[str, Any]]
):
    caller = TimedCaller(app, *asked)
    await caller.begun()
    script.script.put_nowait(InputTooLong())
    script.script.put_nowait(InputTooLong())  # of the second prompt
    body = (await caller.rest()).decode()
    assert InputTooLong().message in body
    assert "[DONE]" not in body and "message_stop" not in body


@pytest.mark.usefixtures("early")
@pytest.mark.parametrize(
    ("headers", "message", "canceled"),
    [({}, ResultTimeout().message, 1), ({"Idempotency_Key": "k"}, "ask GET /v1/jobs/", 0)],
)
async def test_a_wait_for_the_start_ends_though_its_status_is_sent(
    script: ScriptedQueue, headers: dict[str, str], message: str, canceled: int
):
    app = create_app(script, Settings(wait_s=0.2))
    caller = TimedCaller(app, *ASKED["chat"], **headers)
    await caller.begun()
    assert message in (await caller.rest()).decode()
    assert len(script.canceled) == canceled
    assert script.left.is_set()


@pytest.mark.usefixtures("early")
async def test_the_wait_is_for_the_start_alone(script: ScriptedQueue):
    caller = TimedCaller(create_app(script, Settings(wait_s=0.1)), *ASKED["chat"])
    await caller.begun()
    script.script.put_nowait(TEXT)
    assert b"Timeout" not in await caller.signs(5)
    script.script.put_nowait(None)
    assert (await caller.rest()).endswith(b"data: [DONE]\n\n")


@pytest.mark.usefixtures("early")
async def test_who_prefers_a_jobs_id_to_a_wait_gets_it(script: ScriptedQueue, app: FastAPI):
    caller = TimedCaller(app, *ASKED["chat"], Prefer="respond-async, wait=0.1")
    assert (await caller.message())["status"] == 202
    await caller.ended()


@pytest.mark.parametrize("error", [InputTooLong(), JobError("broken")])
async def test_an_error_before_the_first_event_has_its_status(
    script: ScriptedQueue, app: FastAPI, asked: tuple[str, dict[str, Any]], error: JobError
):
    script.script.put_nowait(error)
    script.script.put_nowait(error)
    caller = TimedCaller(app, *asked)
    assert (await caller.message())["status"] == (400 if isinstance(error, InputTooLong) else 500)
    await caller.ended()
