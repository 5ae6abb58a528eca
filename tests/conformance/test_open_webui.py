"""Requests as Open WebUI sends them to an Ollama server, and what it reads of the replies.

They are those of its router for Ollama (`routers/ollama.py`), its conversion of chats (`utils/payload.py`,
`utils/response.py`) and its retrieval (`retrieval/utils.py`).
"""

import http.client
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from jobs.models import LoadedModel
from tests.conformance.conftest import serving
from tests.conformance.scripted_queue import ScriptedQueue
from tests.support.memory_generation import CHAT_MODEL, THOUGHT
from tests.support.memory_queue import MODEL

USER = {
    "X-OpenWebUI-User-Name": "Ada%20L",
    "X-OpenWebUI-User-Id": "1f",
    "X-OpenWebUI-User-Email": "ada@example.org",
    "X-OpenWebUI-User-Role": "admin",
}
JSON = {"Content-Type": "application/json", **USER}
CHAT, EMBEDDER = f"{CHAT_MODEL.id}:latest", f"{MODEL.id}:latest"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class WebUi:
    """What it does with a server's address."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, headers=JSON)
        self.host, self.port = self._http.base_url.host, self._http.base_url.port

    def close(self) -> None:
        self._http.close()

    def get(self, path: str) -> Any:
        reply = self._http.get(path)
        assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
        return reply.json()

    def ask(self, path: str, payload: Mapping[str, Any], method: str = "POST") -> httpx.Response:
        return self._http.request(method, path, content=json.dumps(payload))

    def post(self, path: str, payload: Mapping[str, Any]) -> Any:
        reply = self.ask(path, payload)
        assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json"), reply.text
        return reply.json()

    def models(self) -> dict[str, dict[str, Any]]:
        """All, by the names that it knows them by; those in memory with the second in which they leave."""
        listed = {each["model"]: each for each in self.get("/api/tags")["models"]}
        leaves = {each["name"]: each["expires_at"] for each in self.get("/api/ps")["models"]}
        for model in listed.values():
            if model["name"] in leaves:
                model["expires_at"] = int(datetime.fromisoformat(leaves[model["name"]]).timestamp())
        return listed

    def unload(self, name: str) -> Any:
        wanted = name if ":" in name else f"{name}:latest"
        assert wanted in self.models()
        return self.post("/api/generate", {"model": wanted, "keep_alive": 0, "prompt": ""})

    def chat(self, name: str, messages: list[dict[str, Any]], **more: Any) -> Iterator[dict[str, Any]]:
        """The lines of a chat that is streamed."""
        wanted = name if ":" in name else f"{name}:latest"
        payload = {"model": wanted, "messages": messages, "stream": True, **more}
        with self._http.stream("POST", "/api/chat", content=json.dumps(payload)) as reply:
            assert (reply.status_code, reply.headers["content-type"]) == (200, "application/x-ndjson")
            for line in reply.iter_lines():
                yield json.loads(line)


def tokens_per_second(last: Mapping[str, Any]) -> tuple[float, ...]:
    """As it is shown below an answer. It divides by whatever is not 0."""
    pairs = (("eval_count", "eval_duration"), ("prompt_eval_count", "prompt_eval_duration"))
    return tuple(round(last[count] / (last[ns] / 1e9), 2) for count, ns in pairs if last[ns] > 0)


@pytest.fixture(scope="module")
def queue() -> ScriptedQueue:
    return ScriptedQueue()


@pytest.fixture(scope="module")
def ui(queue: ScriptedQueue) -> Iterator[WebUi]:
    with serving(queue) as url:
        found = WebUi(url)
        yield found
        found.close()


@pytest.fixture(autouse=True)
def _loaded(queue: ScriptedQueue) -> None:
    queue.loaded = {
        CHAT_MODEL.id: LoadedModel(CHAT_MODEL.id, 4_000, 1_900_000_000.7),
        MODEL.id: LoadedModel(MODEL.id, 3_000, None),
    }


def test_a_connection_is_verified_and_its_version_is_compared(ui: WebUi):
    told = ui.get("/api/version")["version"]
    assert tuple(map(int, re.sub(r"^v|-.*", "", told).split("."))) >= (0, 6, 4)


def test_at_its_start_it_learns_of_the_models_and_which_are_in_memory(ui: WebUi):
    models = ui.models()
    assert {CHAT, EMBEDDER} <= models.keys()
    assert all(name == each["name"] for name, each in models.items())
    assert models[CHAT]["expires_at"] == 1_900_000_000
    assert datetime.fromtimestamp(models[EMBEDDER]["expires_at"], UTC).year == 9999
    assert "expires_at" not in models["org/reranker:latest"]
    shown = models[CHAT]
    assert len(shown["digest"]) == 64 and {"size", "modified_at"} <= shown.keys()
    assert {"parameter_size", "quantization_level", "family", "format"} <= shown["details"].keys()


def test_a_models_details_are_asked_for_by_the_name_that_was_listed(ui: WebUi):
    shown = ui.post("/api/show", {"model": CHAT, "name": CHAT})
    assert "completion" in shown["capabilities"] and shown["model_info"]


def test_a_chat_is_streamed_with_its_thoughts_and_figures(ui: WebUi):
    system = {"role": "system", "content": "Be brief."}
    question = {"role": "user", "content": "What is it?", "images": [PIXEL]}
    more = {
        "options": {"temperature": 0.7, "num_ctx": 8192, "stop": ["\n\n\n"]},
        "keep_alive": "30m",
        "think": True,
    }
    *lines, last = ui.chat(CHAT_MODEL.id, [system, question], **more)
    assert "".join(line["message"]["content"] for line in lines) == "<image> What is it?"
    assert "".join(line["message"].get("thinking", "") for line in lines) == THOUGHT
    assert (last["done"], last["done_reason"], last["model"]) == (True, "stop", CHAT)
    assert last["prompt_eval_count"] and last["eval_count"] and last["total_duration"] // 1_000_000_000 >= 0
    assert all(rate > 0 for rate in tokens_per_second(last))


def test_a_tool_is_called_and_its_result_is_read(ui: WebUi):
    asked = {"role": "user", "content": "call the tool"}
    *_, called, _ = ui.chat(CHAT, [asked], tools=[WEATHER])
    [call] = called["message"]["tool_calls"]
    assert json.dumps(call["function"]["arguments"]) == '{"city": "word"}'
    turn = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"index": 0, "id": call["id"], "function": call["function"]}],
    }
    result = {"role": "tool", "content": "sunny", "tool_call_id": call["id"]}
    lines = list(ui.chat(CHAT, [asked, turn, result], tools=[WEATHER]))
    assert "".join(line["message"]["content"] for line in lines) == "sunny"


def test_a_title_is_made_by_a_chat_that_is_not_streamed(ui: WebUi):
    payload = {
        "model": CHAT,
        "messages": [{"role": "user", "content": "A title"}],
        "stream": False,
        "options": {"num_predict": 1000},
    }
    reply = ui.post("/api/chat", payload)
    assert (reply["message"]["content"], reply["done"]) == ("A title", True)


def test_documents_are_embedded_in_batches(ui: WebUi):
    found = ui.post("/api/embed", {"input": ["one", "two words"], "model": MODEL.id})
    assert [len(each) for each in found["embeddings"]] == [MODEL.dimensions] * 2
    one = ui.post("/api/embeddings", {"model": EMBEDDER, "prompt": "one"})
    assert one["embedding"] == found["embeddings"][0]


def test_without_a_key_it_sends_an_empty_one_when_it_embeds(ui: WebUi):
    connection = http.client.HTTPConnection(ui.host, ui.port)
    body = json.dumps({"input": ["one"], "model": MODEL.id})
    connection.request("POST", "/api/embed", body, {**JSON, "Authorization": "Bearer "})
    reply = connection.getresponse()
    assert (reply.status, len(json.load(reply)["embeddings"])) == (200, 1)
    connection.close()


@pytest.mark.parametrize("name", [CHAT, CHAT_MODEL.id, EMBEDDER])
def test_a_model_is_unloaded_and_is_in_memory_no_more(ui: WebUi, queue: ScriptedQueue, name: str):
    reply = ui.unload(name)
    assert (reply["done"], reply["done_reason"], reply["response"]) == (True, "unload", "")
    assert queue.memory.told[-1] == name.removesuffix(":latest")
    assert "expires_at" not in ui.models()[name if ":" in name else f"{name}:latest"]


def test_an_administrator_copies_creates_pulls_and_deletes(ui: WebUi, queue: ScriptedQueue):
    queue.machines.sent.clear()
    copied = ui.ask("/api/copy", {"source": CHAT, "destination": "poet"})
    assert (copied.status_code, copied.content) == (200, b"")
    made = ui.ask("/api/create", {"model": "poet:v2", "from": CHAT, "system": "Rhyme.", "stream": True})
    assert [json.loads(line)["status"] for line in made.iter_lines()][-1] == "success"
    pulled = ui.ask("/api/pull", {"model": "org/new", "name": "org/new", "insecure": True})
    assert [json.loads(line)["status"] for line in pulled.iter_lines()][-1] == "success"
    gone = ui.ask("/api/delete", {"model": CHAT, "name": CHAT}, method="DELETE")
    assert (gone.status_code, gone.content) == (200, b"")
    sent = [type(command).__name__ for _, command in queue.machines.sent]
    assert sent == ["CopyModel", "CreateModel", "PullModel", "RemoveModel"]


def test_an_error_is_told_by_its_text(ui: WebUi):
    payload = {"model": "none:latest", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    reply = ui.ask("/api/chat", payload)
    assert (reply.status_code, type(reply.json()["error"])) == (404, str)
