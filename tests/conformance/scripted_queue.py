"""A queue for clients that look closely at answers: calls and JSON fulfil their schemas, some models always fail."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from jobs.answer_format import JsonFormat
from jobs.content import TextPart
from jobs.errors import InternalError, JobError, Overloaded
from jobs.generate import Chat, GenerateJob, Message, Piece, Pieces, Tool, ToolCall
from jobs.job import Job, SubmitOptions, Ticket
from jobs.models import ModelInfo
from tests.conformance.clients.script import CALL_CUE, EXAMPLES
from tests.support.memory_generation import CHAT_MODEL, memory_events
from tests.support.memory_queue import MODEL, PAGE_MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL

FAILURES: Mapping[str, JobError] = {"full": Overloaded(retry_after_s=1), "broken": InternalError()}
"""By what comes before a model's own name: org/full-chat is always overloaded."""

SERVED = (MODEL, CHAT_MODEL, RERANK_MODEL)


def failing(kind: str, info: ModelInfo) -> ModelInfo:
    organisation, name = info.id.split("/")
    return msgspec.structs.replace(info, id=f"{organisation}/{kind}-{name}")


class ScriptedQueue(MemoryQueue):
    """Answers as MemoryQueue does, but for tools and JSON; `scripted_events` says how."""

    def __init__(self) -> None:
        broken = [failing(kind, info) for kind in FAILURES for info in SERVED]
        super().__init__(models=(*SERVED, PAGE_MODEL, *broken), generate=scripted_events)

    async def submit(self, job: Job, options: SubmitOptions) -> Ticket:
        for kind, error in FAILURES.items():
            if job.model.startswith(f"org/{kind}-"):
                raise error
        return await super().submit(job, options)


def scripted_events(job: GenerateJob, info: ModelInfo) -> tuple[Pieces, ...]:
    """The stream of an answer: a call where one has to be, or where the user's message begins with CALL_CUE; else an
    example of the JSON that is asked for, in two pieces; else the last message again.

    Tools are called one at a time, in their order, each once; the last of them again where a call has to be.
    """
    usual = memory_events(job, info)
    chat = job.prompt if isinstance(job.prompt, Chat) else None
    if job.count_only:
        return usual
    if chat and (tool := _next_tool(chat)):
        arguments = json.dumps(example(json.loads(tool.parameters)))
        count = sum(len(message.tool_calls) for message in chat.messages)
        call = ToolCall(f"call_{count}", tool.name, arguments)
        piece = Piece(tokens=(1, 2), tool_calls=(call,), finish_reason="tool_calls")
        return (msgspec.structs.replace(usual[0], pieces=(piece,)),)
    if isinstance(job.format, JsonFormat):
        text = json.dumps(example(json.loads(job.format.schema or '{"type": "object"}')))
        middle = len(text) // 2
        pieces = (
            Piece(text=text[:middle], tokens=(1,)),
            Piece(text=text[middle:], tokens=(2,), finish_reason="stop"),
        )
        return tuple(msgspec.structs.replace(usual[0], pieces=(piece,)) for piece in pieces)
    return usual


def _next_tool(chat: Chat) -> Tool | None:
    tools = [tool for tool in chat.tools if chat.tool_name in (None, tool.name)]
    called = {call.name for message in chat.messages for call in message.tool_calls}
    fresh = [tool for tool in tools if tool.name not in called]
    if chat.tool_choice == "required":
        return (fresh or tools[-1:])[0]
    if chat.tool_choice == "none" or not fresh:
        return None
    return fresh[0] if _text_of(chat.messages[-1]).startswith(CALL_CUE) else None


def _text_of(message: Message) -> str:
    if message.role != "user":
        return ""
    return " ".join(part.text for part in message.content if isinstance(part, TextPart))


def example(schema: Mapping[str, Any], definitions: Mapping[str, Any] | None = None) -> Any:
    """A value that fulfils a schema: every property, one item of each list."""
    known = definitions or schema.get("$defs") or schema.get("definitions") or {}
    if "$ref" in schema:
        return example(known[schema["$ref"].rpartition("/")[2]], known)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return example(schema[several][0], known)
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: example(each, known) for name, each in schema.get("properties", {}).items()}
    if kind == "array":
        return [example(schema.get("items", {"type": "string"}), known)]
    return EXAMPLES[kind]
