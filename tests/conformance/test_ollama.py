"""What Ollama's own client sees; a fake that echoes does the work."""

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import ollama
import pytest

from jobs.catalogue.defaults import ModelDefaults
from jobs.errors import NoWorker, TimeLimitExceeded
from jobs.generate import Choice, GenerateResult, Piece, Pieces, ToolCall
from jobs.machines.commands import Progress
from jobs.models import ModelInfo
from tests.conformance.conftest import Serve, serving
from tests.support.memory_generation import CHAT_MODEL, THOUGHT
from tests.support.memory_queue import MODEL, MemoryQueue

HELLO = [{"role": "user", "content": "one two three"}]
# Its client checks base64 before it sends it: an image must be longer than a file's name may be.
IMAGE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(300)).decode()

Connect = Callable[[MemoryQueue], ollama.Client]


def ask(question: str) -> str:
    """Ask somebody.

    Args:
        question: what to ask
    """
    return question


def tagged(info: ModelInfo) -> str:
    """As Ollama lists a model that has no tag."""
    return f"{info.id}:latest"


@pytest.fixture(scope="module")
def queue() -> MemoryQueue:
    return MemoryQueue(models=(MODEL, CHAT_MODEL))


@pytest.fixture(scope="module")
def client(queue: MemoryQueue) -> Iterator[ollama.Client]:
    with serving(queue) as base_url, ollama.Client(host=base_url) as client:
        yield client


@pytest.fixture
def connect(serve: Serve) -> Iterator[Connect]:
    """A client of a server over a queue of the test's own making."""
    with ExitStack() as clients:
        yield lambda queue: clients.enter_context(ollama.Client(host=serve(queue)))


class Calling(MemoryQueue):
    """Answers everything with one call."""

    CALL = ToolCall("call_1", "ask", '{"question": "Why?"}')

    async def wait(self, job_id: str, timeout_s: float):
        return GenerateResult((Choice("", "tool_calls", 1, tool_calls=(self.CALL,)),), 1)

    async def stream(self, job_id: str, after: int = 0):
        yield 1, Pieces(1, 0, (Piece(tokens=(1,), tool_calls=(self.CALL,), finish_reason="tool_calls"),))


def test_every_method_of_the_client_is_called_here():
    methods = {name for name in dir(ollama.Client) if not name.startswith("_")}
    elsewhere = {"close", "web_search", "web_fetch"}  # the last two ask Ollama's own service
    source = Path(__file__).read_text()
    assert {name for name in methods - elsewhere if f"client.{name}(" not in source} == set()


def test_a_chat_is_answered(client: ollama.Client):
    reply = client.chat(CHAT_MODEL.id, HELLO)
    assert reply.message.content == "one two three"
    assert (reply.done, reply.done_reason) == (True, "stop")
    assert (reply.prompt_eval_count, reply.eval_count) == (3, 3)
    assert reply.eval_duration and reply.total_duration and reply.eval_duration <= reply.total_duration


def test_a_chat_is_streamed(client: ollama.Client):
    parts = list(client.chat(CHAT_MODEL.id, HELLO, stream=True, think=True))
    assert "".join(part.message.content or "" for part in parts) == "one two three"
    assert "".join(part.message.thinking or "" for part in parts) == THOUGHT
    assert [part.done for part in parts] == [False] * 4 + [True]
    assert (parts[-1].done_reason, parts[-1].eval_count) == ("stop", 4)


def test_a_prompt_is_answered_and_streamed(client: ollama.Client):
    assert client.generate(CHAT_MODEL.id, "one two").response == "one two"
    parts = list(client.generate(CHAT_MODEL.id, "one two", stream=True, raw=True))
    assert [part.response for part in parts] == ["one", " two", ""]
    assert parts[-1].done


def test_options_and_formats_are_heeded(client: ollama.Client):
    cut = client.chat(f"{CHAT_MODEL.id}:latest", HELLO, options={"num_predict": 2, "num_ctx": 8192})
    assert (cut.message.content, cut.done_reason) == ("one two", "length")
    stopped = client.chat(CHAT_MODEL.id, HELLO, options=ollama.Options(stop=[" two"], temperature=0))
    assert stopped.message.content == "one"
    for answer_format in ("json", {"type": "object"}):
        assert client.chat(CHAT_MODEL.id, HELLO, format=answer_format).message.content == "{}"


def test_a_function_of_python_is_a_tool_and_is_called(connect: Connect):
    queue = Calling(models=(CHAT_MODEL,))
    client = connect(queue)
    reply = client.chat(CHAT_MODEL.id, HELLO, tools=[ask])
    [call] = reply.message.tool_calls or []
    assert (call.function.name, call.function.arguments) == ("ask", {"question": "Why?"})
    [sent] = queue.submitted[0][0].prompt.tools  # pyright: ignore[reportAttributeAccessIssue]
    assert (sent.name, sent.description) == ("ask", "Ask somebody.")

    *_, last = parts = list(client.chat(CHAT_MODEL.id, HELLO, tools=[ask], stream=True))
    calls = [call.function for part in parts for call in part.message.tool_calls or ()]
    assert [(call.name, call.arguments) for call in calls] == [("ask", {"question": "Why?"})]
    assert last.done

    messages = [*HELLO, reply.message, {"role": "tool", "content": "Because.", "tool_name": "ask"}]
    client.chat(CHAT_MODEL.id, messages)
    answered = queue.submitted[-1][0].prompt.messages  # pyright: ignore[reportAttributeAccessIssue]
    assert answered[2].tool_call_id == answered[1].tool_calls[0].id


def test_images_are_read(client: ollama.Client):
    message = ollama.Message(role="user", content="What?", images=[ollama.Image(value=IMAGE)])
    assert client.chat(CHAT_MODEL.id, [message]).message.content == "<image> What?"
    assert client.generate(CHAT_MODEL.id, "What?", images=[IMAGE]).response == "<image> What?"


def test_texts_are_embedded(client: ollama.Client):
    found = client.embed(MODEL.id, ["one", "two three"], keep_alive="5m")
    assert [len(vector) for vector in found.embeddings] == [MODEL.dimensions] * 2
    assert (found.prompt_eval_count, found.model) == (3, MODEL.id)
    assert found.total_duration
    assert client.embed(MODEL.id, "one").embeddings == found.embeddings[:1]
    assert client.embeddings(MODEL.id, "one").embedding == found.embeddings[0]
    assert client.embed(MODEL.id, "").embeddings == []
    with pytest.raises(ollama.ResponseError, match="none") as unknown:
        client.embed("none", "one")
    assert unknown.value.status_code == 404


def test_a_model_is_loaded_and_unloaded(connect: Connect):
    client = connect(MemoryQueue(models=(MODEL, CHAT_MODEL)))
    assert client.generate(CHAT_MODEL.id, keep_alive="10m").done_reason == "load"
    assert client.chat(CHAT_MODEL.id, keep_alive=-1).done_reason == "load"
    assert client.embed(MODEL.id, [], keep_alive="-1m").embeddings == []
    assert client.embeddings(MODEL.id, "").embedding == []
    assert client.generate(CHAT_MODEL.id, keep_alive=0).done_reason == "unload"
    assert [each.model for each in client.ps().models] == [tagged(MODEL)]
    assert client.chat(f"{MODEL.id}:latest", keep_alive="0").done_reason == "unload"
    assert client.ps().models == []
    assert client.chat(CHAT_MODEL.id, keep_alive=0).done_reason == "unload"


@pytest.mark.parametrize("stream", [False, True])
def test_models_are_not_pushed(client: ollama.Client, stream: bool):
    with pytest.raises(ollama.ResponseError, match="not pushed") as refused:
        list(client.push(MODEL.id, stream=stream))
    assert refused.value.status_code == 501


def test_models_are_copied_created_and_deleted(client: ollama.Client, queue: MemoryQueue):
    """A machine does it, which is asked for it here; test_ollama_full_stack.py has what comes of it."""
    queue.machines.sent.clear()
    assert client.copy(CHAT_MODEL.id, "poet").status == "success"
    parameters = ollama.Options(temperature=0.1, stop=["END"])
    made = client.create(
        "poet:v2", from_=CHAT_MODEL.id, system="Rhyme.", parameters=parameters, template="{{ .Prompt }}"
    )
    assert made.status == "success"
    parts = list(client.create("poet", from_=CHAT_MODEL.id, messages=HELLO, stream=True))
    assert parts[-1].status == "success"
    assert client.delete(CHAT_MODEL.id).status == "success"
    sent = [command for _, command in queue.machines.sent]
    assert [type(command).__name__ for command in sent] == [
        "CopyModel",
        "CreateModel",
        "CreateModel",
        "RemoveModel",
    ]
    assert getattr(sent[1], "defaults") == ModelDefaults("Rhyme.", {"temperature": 0.1, "stop": ("END",)})  # noqa: B009
    for call in (lambda: client.copy("none", "other"), lambda: client.delete("none")):
        with pytest.raises(ollama.ResponseError, match="not found") as unknown:
            call()
        assert unknown.value.status_code == 404


DIGEST = f"sha256:{'a' * 64}"
PULLED = (
    Progress(status="pulling manifest"),
    Progress(status="pulling aaa", digest=DIGEST, files={DIGEST: (4, 10)}),
    Progress(status="success", name="org/new", files={DIGEST: (10, 10)}),
)


def test_a_model_is_pulled(connect: Connect):
    queue = MemoryQueue()
    queue.machines.answers = PULLED
    client = connect(queue)
    assert client.pull("org/new").status == "success"
    first, *parts, last = client.pull("org/new", stream=True)
    assert (first.status, last.status) == ("pulling manifest", "success")
    assert [(part.status, part.digest, part.completed, part.total) for part in parts] == [
        ("pulling aaaaaaaaaaaa", DIGEST, completed, 10) for completed in (4, 10)
    ]
    queue.machines.answers = (Progress(error="org/new is gated.", code="gated", hint="Log in."),)
    for stream in (False, True):
        with pytest.raises(ollama.ResponseError, match="is gated"):
            list(client.pull("org/new", stream=stream))


def test_files_of_models_are_not_sent(client: ollama.Client):
    with pytest.raises(ollama.ResponseError, match="mlxq pull") as refused:
        client.create_blob(__file__)
    assert refused.value.status_code == 501
    digest = f"sha256:{'0' * 64}"
    assert httpx.head(f"{client._client.base_url}/api/blobs/{digest}").status_code == 501
    with pytest.raises(ollama.ResponseError, match="mlxq pull") as refused:
        client.create("mine", files={"model.safetensors": digest})
    assert refused.value.status_code == 400


def test_system_one_models_are_not_served(client: ollama.Client):
    with pytest.raises(ollama.ResponseError, match="System One") as refused:
        client.systemone(CHAT_MODEL.id, "a state", {"good": {"type": "noul", "instructions": "Is it good?"}})
    assert refused.value.status_code == 501


def test_models_are_listed_and_shown(client: ollama.Client):
    assert [model.model for model in client.list().models] == [tagged(MODEL), tagged(CHAT_MODEL)]
    assert {model.model: model.context_length for model in client.ps().models} == {
        tagged(MODEL): 256,
        tagged(CHAT_MODEL): 4096,
    }
    shown = client.show(CHAT_MODEL.id)
    assert shown.capabilities == ["completion", "tools", "vision", "thinking"]
    assert shown.modelinfo and shown.modelinfo["mlx.context_length"] == 4096


@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_texts(client: ollama.Client, stream: bool):
    with pytest.raises(ollama.ResponseError) as unknown:
        list(client.chat("none", HELLO, stream=stream))
    assert unknown.value.status_code == 404
    assert "none" in unknown.value.error
    with pytest.raises(ollama.ResponseError) as refused:
        list(client.generate(CHAT_MODEL.id, "one", suffix="end", raw=True, stream=stream))
    assert refused.value.status_code == 400
    assert refused.value.error.startswith("suffix")


def test_no_worker_is_an_error(connect: Connect):
    client = connect(MemoryQueue(models=()))
    with pytest.raises(ollama.ResponseError) as idle:
        client.chat(CHAT_MODEL.id, HELLO)
    assert (idle.value.status_code, idle.value.error) == (503, NoWorker().message)


def test_an_error_on_the_way_is_raised(connect: Connect):
    class Breaking(MemoryQueue):
        async def stream(self, job_id: str, after: int = 0):
            yield 1, Pieces(1, 0, (Piece(text="a", tokens=(1,)),))
            raise TimeLimitExceeded

    client = connect(Breaking(models=(CHAT_MODEL,)))
    parts = iter(client.chat(CHAT_MODEL.id, HELLO, stream=True))
    assert next(parts).message.content == "a"
    with pytest.raises(ollama.ResponseError) as broken:
        next(parts)
    assert broken.value.error == TimeLimitExceeded().message


async def test_the_asynchronous_client_works_the_same(queue: MemoryQueue):
    with serving(queue) as base_url:
        async with ollama.AsyncClient(host=base_url) as client:
            assert (await client.chat(CHAT_MODEL.id, HELLO)).message.content == "one two three"
            parts = [part.response async for part in await client.generate(CHAT_MODEL.id, "one", stream=True)]
            assert parts == ["one", ""]
            assert len((await client.embed(MODEL.id, "one")).embeddings) == 1
            assert (await client.embeddings(MODEL.id, "one")).embedding
            assert (await client.generate(CHAT_MODEL.id, keep_alive="10m")).done_reason == "load"
            assert [model.model for model in (await client.list()).models] == [
                tagged(MODEL),
                tagged(CHAT_MODEL),
            ]
            assert (await client.show(CHAT_MODEL.id)).capabilities
            assert len((await client.ps()).models) == 2
            for refused in (client.push(MODEL.id), client.systemone(CHAT_MODEL.id, "a state", {})):
                with pytest.raises(ollama.ResponseError) as raised:
                    await refused
                assert raised.value.status_code == 501
