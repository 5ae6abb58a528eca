"""The messages of Ollama's chat: read, checked, and turned into a job's."""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from api.dialects.ollama.open_calls import OpenCalls
from api.requests.images import ImageReference, ImageSource, load_images
from api.requests.tools import JsonObject, object_text
from jobs.content import ImagePart, TextPart
from jobs.errors import InvalidInput
from jobs.generate import Message, ToolCall


class OllamaFunction(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    arguments: JsonObject = {}


class OllamaCall(msgspec.Struct, frozen=True, kw_only=True):
    id: str | None = None
    function: OllamaFunction


class OllamaMessage(msgspec.Struct, frozen=True, kw_only=True):
    """images: base64. tool_name, tool_call_id: which call a message of role "tool" answers."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    thinking: str | None = None
    images: tuple[str, ...] | None = None
    tool_calls: tuple[OllamaCall, ...] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


async def ollama_messages(given: Sequence[OllamaMessage], images: ImageSource | None) -> tuple[Message, ...]:
    """The messages as the job holds them. Raises InvalidInput."""
    for place, message in enumerate(given):
        if message.tool_calls and message.role != "assistant":
            raise InvalidInput(
                f"messages[{place}].tool_calls: only an assistant calls tools.", param="messages"
            )
    references = [
        ImageReference(text, f"messages[{place}].images[{number}]")
        for place, message in enumerate(given)
        for number, text in enumerate(message.images or ())
    ]
    pictures = iter(await load_images(references, images))
    open_calls = OpenCalls()
    return tuple(_message(place, message, pictures, open_calls) for place, message in enumerate(given))


def parts_of(
    text: str, pictures: Iterator[bytes], images: Sequence[str] | None
) -> tuple[TextPart | ImagePart, ...]:
    """Images go before the text, as Ollama puts them. pictures: as many are taken as there are images."""
    return (*(ImagePart(next(pictures)) for _ in images or ()), *((TextPart(text),) if text else ()))


def _message(place: int, message: OllamaMessage, pictures: Iterator[bytes], open_calls: OpenCalls) -> Message:
    """open_calls: those that no message has answered yet; kept up here."""
    calls = tuple(
        ToolCall(
            id=call.id or f"call_{place}_{number}",
            name=call.function.name,
            arguments=object_text(call.function.arguments, "messages"),
        )
        for number, call in enumerate(message.tool_calls or ())
    )
    for call in calls:
        open_calls.add(call)
    return Message(
        role=message.role,
        content=parts_of(message.content or "", pictures, message.images),
        reasoning=message.thinking or "",
        tool_calls=calls,
        tool_call_id=_answered(message, open_calls) if message.role == "tool" else None,
        name=message.tool_name,
    )


def _answered(message: OllamaMessage, open_calls: OpenCalls) -> str | None:
    """The id of the call that a tool's message answers: what it says, else the first open one of its name."""
    if message.tool_call_id is None:
        return open_calls.answer_first(message.tool_name)
    open_calls.answer(message.tool_call_id)
    return message.tool_call_id
