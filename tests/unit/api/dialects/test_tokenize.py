"""/tokenize, /detokenize and /decode, in the dialects of vLLM, text-embeddings-inference and llama.cpp."""

import threading
from typing import Any

import httpx
import pytest

from api.replies.tokens import ids_of
from jobs.errors import Overloaded
from jobs.tokenize import TokenizedText, TokenizeJob
from tests.support.memory.tokens import ACCENT, ASSISTANT, CLS, FOX, RED, SEP, USER, A
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL
from tests.unit.api.conftest import Connect

CHAT = [{"role": "user", "content": "a fox"}]


async def tokenize(client: httpx.AsyncClient, **fields: Any) -> Any:
    reply = await client.post("/tokenize", json=fields)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_vllm_tokenizes_a_prompt(client: httpx.AsyncClient):
    assert await tokenize(client, prompt="a red fox") == {
        "count": 5, "max_model_len": MODEL.max_tokens, "tokens": [CLS, A, RED, FOX, SEP], "token_strs": None,
    }  # fmt: skip
    bare = await tokenize(client, prompt="a fox", add_special_tokens=False, return_token_strs=True)
    assert (bare["tokens"], bare["token_strs"]) == ([A, FOX], ["a", "fox"])
    assert (await tokenize(client, prompt=""))["tokens"] == [CLS, SEP]


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, [USER, A, FOX, ASSISTANT]),
        ({"add_generation_prompt": False}, [USER, A, FOX]),
        ({"add_special_tokens": True}, [CLS, USER, A, FOX, ASSISTANT, SEP]),
        ({"continue_final_message": True, "add_generation_prompt": False}, [USER, A, FOX]),
    ],
)
async def test_vllm_tokenizes_a_chat(
    chat_client: httpx.AsyncClient, fields: dict[str, Any], tokens: list[int]
):
    found = await tokenize(chat_client, model=CHAT_MODEL.id, messages=CHAT, **fields)
    assert (found["tokens"], found["count"]) == (tokens, len(tokens))


async def test_tei_tokenizes_inputs(client: httpx.AsyncClient):
    [[first, second, last]] = await tokenize(client, inputs="é")
    assert first == {"id": CLS, "text": "[CLS]", "special": True, "start": None, "stop": None}
    assert second == {"id": ACCENT, "text": "é", "special": False, "start": 0, "stop": 2}
    assert last["text"] == "[SEP]"
    both = await tokenize(client, inputs=["a fox", "red"], add_special_tokens=False)
    assert [[each["text"] for each in text] for text in both] == [["a", "fox"], ["red"]]
    assert (both[0][1]["start"], both[0][1]["stop"]) == (2, 5)


async def test_places_of_tei_are_in_bytes_as_its_own(client: httpx.AsyncClient):
    [text] = await tokenize(client, inputs="é 🦊 fox", add_special_tokens=False)
    assert [(each["text"], each["start"], each["stop"]) for each in text] == [
        ("é", 0, 2), ("🦊", 3, 7), ("fox", 8, 11)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tokenize", {"prompt": "a"}),
        ("/tokenize", {"inputs": "a"}),
        ("/tokenize", {"content": "a"}),
        ("/v1/tokenize", {"model": MODEL.id, "text": "a"}),
    ],
)
async def test_tokens_are_written_beside_the_event_loop(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, Any]
):
    threads: list[threading.Thread] = []

    def note(text: TokenizedText) -> list[int]:
        threads.append(threading.current_thread())
        return ids_of(text)

    for dialect in ("vllm.tokenize", "tei.tokens", "llamacpp.tokenize", "cohere.tokens"):
        monkeypatch.setattr(f"api.dialects.{dialect}.ids_of", note)
    assert (await client.post(path, json=body)).status_code == 200
    assert [thread is threading.main_thread() for thread in threads] == [False]


async def test_null_is_not_called_missing(client: httpx.AsyncClient):
    reply = await client.post("/tokenize", json={"prompt": None})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "prompt")
    assert reply.json()["error"]["message"] == "Send prompt, a text, or messages, those of a chat."


async def test_llama_cpp_tokenizes_content(client: httpx.AsyncClient):
    assert await tokenize(client, content="a fox") == {"tokens": [A, FOX]}
    assert await tokenize(client, content="a fox", add_special=True) == {"tokens": [CLS, A, FOX, SEP]}
    assert await tokenize(client, content="") == {"tokens": []}
    with_pieces = await tokenize(client, content="a é", with_pieces=True)
    assert with_pieces == {"tokens": [{"id": A, "piece": "a"}, {"id": ACCENT, "piece": [0xC3]}]}


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        (["a fox", RED, "fox"], [CLS, A, FOX, SEP, RED, FOX]),
        ([RED, "a fox", 12, "", "a"], [RED, A, FOX, 12, A]),
        ([RED, FOX], [RED, FOX]),
        ([], []),
    ],
)
async def test_llama_cpp_takes_texts_and_tokens_mixed(
    client: httpx.AsyncClient, content: list[Any], tokens: list[int]
):
    """Special tokens are put around the content's first element alone, and only if it is a text."""
    assert await tokenize(client, content=content, add_special=True) == {"tokens": tokens}


async def test_llama_cpp_tells_the_pieces_of_mixed_texts(connect: Connect, queue: MemoryQueue):
    client = connect(queue, max_inputs=2)
    found = await tokenize(client, content=["a", "fox"], with_pieces=True)
    assert [each["piece"] for each in found["tokens"]] == ["a", "fox"]
    for body, begin in (
        ({"content": ["a", RED], "with_pieces": True}, "with_pieces: "),
        ({"content": ["a"] * 3}, "content has 3"),
    ):
        reply = await client.post("/tokenize", json=body)
        assert (reply.status_code, reply.json()["error"]["message"].startswith(begin)) == (400, True)


async def test_tokens_become_text_for_vllm_and_llama_cpp_alike(client: httpx.AsyncClient):
    reply = await client.post("/detokenize", json={"tokens": [CLS, RED, FOX]})
    assert reply.json() == {"prompt": "[CLS] red fox", "content": "[CLS] red fox"}
    assert (await client.post("/detokenize", json={"tokens": []})).json()["prompt"] == ""


async def test_tei_decodes_ids_without_special_ones_unless_told(client: httpx.AsyncClient):
    assert (await client.post("/decode", json={"ids": [CLS, RED, SEP]})).json() == ["red"]
    both = {"ids": [[CLS, RED], [FOX]], "skip_special_tokens": False}
    assert (await client.post("/decode", json=both)).json() == ["[CLS] red", "fox"]


async def test_a_model_of_any_task_is_asked_through_its_own_queue(
    rerank_client: httpx.AsyncClient, reranker: MemoryQueue
):
    for info in (MODEL, CHAT_MODEL, RERANK_MODEL):
        await tokenize(rerank_client, model=info.id, prompt="a")
        assert reranker.submitted[-1][0] == TokenizeJob(info.id, info.task, ("a",))
    names = ", ".join(info.id for info in (MODEL, CHAT_MODEL, RERANK_MODEL))
    for path, body in (("/tokenize", {"prompt": "a"}), ("/detokenize", {"tokens": [1]})):
        reply = await rerank_client.post(path, json=body)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "model")
        assert names in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {}, "prompt"),
        ("/tokenize", {"prompt": "a", "messages": CHAT}, "messages"),
        ("/tokenize", {"prompt": "a", "chat_template": "{{ messages }}"}, "chat_template"),
        ("/tokenize", {"messages": CHAT, "mm_processor_kwargs": {"a": 1}}, "mm_processor_kwargs"),
        (
            "/tokenize",
            {"messages": CHAT, "continue_final_message": True, "add_generation_prompt": True},
            "continue_final_message",
        ),
        ("/detokenize", {"tokens": [99]}, "tokens"),
        ("/detokenize", {"tokens": [-1]}, "tokens"),
        ("/detokenize", {}, "tokens"),
    ],
)
async def test_a_bad_field_of_vllm_is_named(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], param: str
):
    reply = await client.post(path, json=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("path", "body", "begin"),
    [
        ("/tokenize", {"inputs": []}, "inputs"),
        ("/tokenize", {"inputs": ["a", 1]}, "inputs"),
        ("/tokenize", {"inputs": "a", "prompt_name": "query"}, "prompt_name"),
        ("/tokenize", {"inputs": ["a"] * 3}, "inputs has 3"),
        ("/decode", {"ids": []}, "ids"),
        ("/decode", {"ids": [1, [2]]}, "ids"),
        ("/decode", {"ids": [[1]] * 3}, "ids has 3"),
        ("/decode", {"ids": [99]}, "The token id 99"),
    ],
)
async def test_errors_of_tei_have_its_form(
    connect: Connect, queue: MemoryQueue, path: str, body: dict[str, Any], begin: str
):
    reply = await connect(queue, max_inputs=2).post(path, json=body)
    assert (reply.status_code, reply.json()["error_type"]) == (400, "Validation")
    assert reply.json()["error"].startswith(begin)


async def test_errors_of_llama_cpp_have_its_form(connect: Connect, client: httpx.AsyncClient):
    reply = await client.post("/tokenize", json={"content": "a", "parse_special": False})
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["type"]) == (400, 400, "invalid_request_error")
    assert error["message"].startswith("parse_special")
    away = await connect(MemoryQueue(failure=Overloaded())).post("/tokenize", json={"content": "a"})
    assert (away.status_code, away.json()["error"]["code"]) == (429, 429)
    none = await connect(MemoryQueue(models=())).post("/tokenize", json={"content": "a"})
    assert (none.status_code, none.json()["error"]["type"]) == (503, "unavailable_error")


async def test_tokens_are_not_given_later(client: httpx.AsyncClient, queue: MemoryQueue):
    reply = await client.post("/tokenize", json={"prompt": "a"}, headers={"Prefer": "respond-async"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "Prefer")
    assert not queue.submitted


async def test_a_job_of_tokens_shows_no_result(client: httpx.AsyncClient, queue: MemoryQueue):
    await tokenize(client, prompt="a")
    [job] = (await client.get("/v1/jobs")).json()["data"]
    shown = (await client.get(f"/v1/jobs/{job['id']}")).json()
    assert (shown["task"], shown["status"], shown["result"]) == ("embed", "finished", None)
