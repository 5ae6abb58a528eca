"""Documents and results of searches among Anthropic's blocks."""

from typing import Any

import httpx
import pytest

from jobs.content import ImagePart, TextPart
from jobs.generate import Message
from tests.support.chat_requests import last_chat
from tests.support.images import OPAQUE, OPAQUE_BASE64
from tests.support.memory_queue import MemoryQueue
from tests.unit.api.dialects.anthropic.test_anthropic import ask, count, user

TEXT = {"type": "text", "text": "Look."}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": OPAQUE_BASE64}}
PLAIN = {"type": "text", "media_type": "text/plain", "data": "A lease lasts ten seconds."}
FOUND = {"type": "search_result", "source": "https://a/b", "title": "Leases", "content": [TEXT, TEXT]}
END = "\n</content>\n</document>\n"


def document(source: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "document", "source": source, **fields}


def shown(*parts: TextPart | ImagePart) -> str:
    return "".join(part.text if isinstance(part, TextPart) else "[image]" for part in parts)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (document(PLAIN), f"<document>\n<content>\nA lease lasts ten seconds.{END}"),
        (
            document(PLAIN, title="Queue", context="Of 2026.", citations={"enabled": False}),
            (
                "<document>\n<title>Queue</title>\n<context>Of 2026.</context>\n<content>\n"
                f"A lease lasts ten seconds.{END}"
            ),
        ),
        (document({"type": "content", "content": "a"}), f"<document>\n<content>\na{END}"),
        (
            document({"type": "content", "content": [TEXT, IMAGE]}, citations=None),
            f"<document>\n<content>\nLook.[image]{END}",
        ),
        (
            FOUND,
            (
                "<search_result>\n<source>https://a/b</source>\n<title>Leases</title>\n<content>\nLook.Look."
                "\n</content>\n</search_result>\n"
            ),
        ),
    ],
)
async def test_the_model_reads_their_text_and_what_is_known_of_them(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, block: dict[str, Any], expected: str
):
    reply = await ask(chat_client, **user(TEXT, block, TEXT))
    assert reply.status_code == 200, reply.text
    [message] = last_chat(generator).messages
    assert shown(*message.content) == f"Look.{expected}Look."

    result = {"type": "tool_result", "tool_use_id": "c", "content": [block]}
    assert (await count(chat_client, **user(result))).status_code == 200
    [message] = last_chat(generator).messages
    assert (message.role, shown(*message.content)) == ("tool", expected)


async def test_images_of_documents_stay_in_their_places(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    pages = document({"type": "content", "content": [IMAGE, TEXT]})
    await ask(chat_client, **user(pages, IMAGE))
    [message] = last_chat(generator).messages
    assert message == Message("user", message.content)
    assert [part for part in message.content if isinstance(part, ImagePart)] == [ImagePart(OPAQUE)] * 2
    assert isinstance(message.content[-1], ImagePart)


async def test_what_other_types_have_may_be_null(chat_client: httpx.AsyncClient, generator: MemoryQueue):
    nulls = {"content": None, "url": None}
    image = {"type": "image", "source": {**IMAGE["source"], "url": None}}
    assert (await ask(chat_client, **user(document({**PLAIN, **nulls}), image))).status_code == 200
    [message] = last_chat(generator).messages
    assert shown(*message.content).endswith(f"ten seconds.{END}[image]")


@pytest.mark.parametrize(
    ("block", "told"),
    [
        (document({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}), "type base64"),
        (document({"type": "url", "url": "https://a/b.pdf"}), "type url"),
        (document({"type": "file", "file_id": "f"}), "type file"),
        (document({"type": "text"}), "source.data is missing"),
        (document({"type": "content"}), "source.content is missing"),
        (document({}), "messages[0].content[1].source.type"),
        (document(PLAIN, citations={"enabled": True}), "citations"),
        ({**FOUND, "citations": {"enabled": True}}, "citations"),
        ({"type": "search_result", "source": "a", "content": []}, "messages[0].content[1].title"),
        (document({"type": "content", "content": [{"type": "image", "source": {"type": "base64"}}]}), "data"),
        (document({**PLAIN, "content": [IMAGE]}), "content[1].source.content is not of the type text"),
        (document({**PLAIN, "url": "https://a/b"}), "content[1].source.url is not of the type text"),
        (
            document({"type": "content", "content": "a", "data": "b"}),
            "content[1].source.data is not of the type content",
        ),
        (
            {"type": "image", "source": {**IMAGE["source"], "url": "https://a/b.png"}},
            "content[1].source.url is not of the type base64",
        ),
        (
            {"type": "image", "source": {"type": "url", "url": "https://a/b.png", "data": OPAQUE_BASE64}},
            "content[1].source.data is not of the type url",
        ),
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, "no files are kept"),
        ({**IMAGE, "transformations": {"oversized_image": "error"}}, "transformations"),
    ],
)
async def test_what_is_not_read_is_refused_by_its_place(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, block: dict[str, Any], told: str
):
    reply = await ask(chat_client, **user(TEXT, block))
    message = reply.json()["error"]["message"]
    assert reply.status_code == 400 and message.startswith(("messages[0].content[1]", "Missing field"))
    assert told in message
    assert not generator.submitted


async def test_only_the_user_and_tools_give_documents(chat_client: httpx.AsyncClient):
    turns = [{"role": "assistant", "content": [document(PLAIN)]}, {"role": "user", "content": "a"}]
    reply = await ask(chat_client, messages=turns)
    assert "no document in a message of the assistant" in reply.json()["error"]["message"]
