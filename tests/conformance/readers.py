"""One streamed answer, read by the official clients in Python."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import anthropic
import httpx
import ollama
import openai


class Asked(NamedTuple):
    """url: without /v1. tool: {"name", "parameters"}, a tool that must be called."""

    url: str
    model: str
    content: str
    tool: dict[str, Any] | None = None

    @property
    def messages(self) -> list[Any]:
        return [{"role": "user", "content": self.content}]


class Answer(NamedTuple):
    """calls: (name, arguments) of each."""

    text: str
    calls: list[tuple[str, dict[str, Any]]]


def openai_chat(asked: Asked) -> Answer:
    with openai.OpenAI(base_url=f"{asked.url}/v1", api_key="unused", max_retries=0) as client:
        return chat_of(client.chat.completions.create(**_openai(asked), stream=True))


def openai_chat_helper(asked: Asked) -> Answer:
    with (
        openai.OpenAI(base_url=f"{asked.url}/v1", api_key="unused", max_retries=0) as client,
        client.chat.completions.stream(**_openai(asked)) as stream,
    ):
        message = stream.get_final_completion().choices[0].message
    calls = [call.function for call in message.tool_calls or ()]
    return Answer(message.content or "", [(call.name, json.loads(call.arguments)) for call in calls])


def openai_chat_async(asked: Asked) -> Answer:
    async def read() -> Answer:
        async with openai.AsyncOpenAI(base_url=f"{asked.url}/v1", api_key="unused", max_retries=0) as client:
            stream = await client.chat.completions.create(**_openai(asked), stream=True)
            return chat_of([chunk async for chunk in stream])

    return asyncio.run(read())


def openai_completion(asked: Asked) -> Answer:
    with openai.OpenAI(base_url=f"{asked.url}/v1", api_key="unused", max_retries=0) as client:
        chunks = client.completions.create(model=asked.model, prompt=asked.content, stream=True)
        return Answer("".join(chunk.choices[0].text for chunk in chunks), [])


def anthropic_message(asked: Asked) -> Answer:
    with anthropic.Anthropic(base_url=asked.url, api_key="unused", max_retries=0) as client:
        return _message_of(client.messages.create(**_anthropic(asked), stream=True))


def anthropic_message_helper(asked: Asked) -> Answer:
    with (
        anthropic.Anthropic(base_url=asked.url, api_key="unused", max_retries=0) as client,
        client.messages.stream(**_anthropic(asked)) as stream,
    ):
        blocks = stream.get_final_message().content
    text = "".join(block.text for block in blocks if block.type == "text")
    return Answer(text, [(block.name, dict(block.input)) for block in blocks if block.type == "tool_use"])


def anthropic_message_async(asked: Asked) -> Answer:
    async def read() -> Answer:
        async with anthropic.AsyncAnthropic(base_url=asked.url, api_key="unused", max_retries=0) as client:
            stream = await client.messages.create(**_anthropic(asked), stream=True)
            return _message_of([event async for event in stream])

    return asyncio.run(read())


def ollama_chat(asked: Asked) -> Answer:
    with ollama.Client(asked.url) as client:
        return _ollama_chat_of(client.chat(**_ollama(asked), stream=True))


def ollama_chat_async(asked: Asked) -> Answer:
    async def read() -> Answer:
        async with ollama.AsyncClient(asked.url) as client:
            stream = await client.chat(**_ollama(asked), stream=True)
            return _ollama_chat_of([part async for part in stream])

    return asyncio.run(read())


def ollama_generate(asked: Asked) -> Answer:
    with ollama.Client(asked.url) as client:
        parts = client.generate(asked.model, asked.content, stream=True)
        return Answer("".join(part.response or "" for part in parts), [])


def json_lines(asked: Asked) -> Answer:
    """A client of Ollama's protocol that takes every line for JSON."""
    body = {"model": asked.model, "prompt": asked.content}
    with httpx.stream("POST", f"{asked.url}/api/generate", json=body, timeout=None) as reply:
        return Answer("".join(json.loads(line)["response"] for line in reply.iter_lines()), [])


Reader = Callable[[Asked], Answer]

CALL_READERS: tuple[Reader, ...] = (
    openai_chat,
    openai_chat_helper,
    openai_chat_async,
    anthropic_message,
    anthropic_message_helper,
    anthropic_message_async,
    ollama_chat,
    ollama_chat_async,
)
TEXT_READERS: tuple[Reader, ...] = (*CALL_READERS, openai_completion, ollama_generate, json_lines)


def chat_of(chunks: Any) -> Answer:
    text, calls = "", dict[int, list[str]]()
    for chunk in chunks:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for call in choice.delta.tool_calls or ():
                name, arguments = calls.get(call.index, ["", ""])
                calls[call.index] = [name + (call.function.name or ""), arguments + call.function.arguments]
    return Answer(text, [(name, json.loads(arguments)) for name, arguments in calls.values()])


def _message_of(events: Any) -> Answer:
    names, written, text = dict[int, str](), dict[int, str](), ""
    for event in events:
        if event.type == "content_block_start" and event.content_block.type == "tool_use":
            names[event.index] = event.content_block.name
        elif event.type == "content_block_delta" and event.delta.type == "text_delta":
            text += event.delta.text
        elif event.type == "content_block_delta":
            written[event.index] = written.get(event.index, "") + event.delta.partial_json
    return Answer(text, [(name, json.loads(written[index])) for index, name in names.items()])


def _ollama_chat_of(parts: Any) -> Answer:
    text, calls = "", []
    for part in parts:
        text += part.message.content
        calls += [(call.function.name, call.function.arguments) for call in part.message.tool_calls or ()]
    return Answer(text, calls)


def _openai(asked: Asked) -> dict[str, Any]:
    found: dict[str, Any] = {"model": asked.model, "messages": asked.messages}
    if asked.tool:
        tool = {"type": "function", "function": {**asked.tool, "strict": True}}
        found |= {"tools": [tool], "tool_choice": "required"}
    return found


def _anthropic(asked: Asked) -> dict[str, Any]:
    found: dict[str, Any] = {"model": asked.model, "messages": asked.messages, "max_tokens": 10_000}
    if asked.tool:
        tool = {"name": asked.tool["name"], "input_schema": asked.tool["parameters"]}
        found |= {"tools": [tool], "tool_choice": {"type": "any"}}
    return found


def _ollama(asked: Asked) -> dict[str, Any]:
    tools = [{"type": "function", "function": asked.tool}] if asked.tool else None
    return {"model": asked.model, "messages": asked.messages, "tools": tools}
