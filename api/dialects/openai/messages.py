"""The messages of OpenAI's chat body: read, checked, and turned into a job's."""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from api.requests.images import ImageReference, ImageSource, load_images
from api.requests.tools import call_arguments
from jobs.content import ImagePart, TextPart
from jobs.errors import InvalidInput
from jobs.generate import Message, ToolCall


class ImageUrl(msgspec.Struct, frozen=True):
    """url: an http(s) address, a data URI, or the base64 alone. detail: accepted and not used."""

    url: str
    detail: str | None = None


class ContentPart(msgspec.Struct, frozen=True, kw_only=True):
    """type: text or image_url; which of the other fields is there follows from it."""

    type: str
    text: str | None = None
    image_url: ImageUrl | str | None = None


class CalledFunction(msgspec.Struct, frozen=True):
    name: str
    arguments: str = "{}"


class AskedCall(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """reasoning_content: what an earlier reply gave under this name, for templates that show it to the model again."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | tuple[ContentPart, ...] | None = None
    reasoning_content: str | None = None
    tool_calls: tuple[AskedCall, ...] | None = None
    tool_call_id: str | None = None
    name: str | None = None


async def chat_messages(given: Sequence[ChatMessage], source: ImageSource | None) -> tuple[Message, ...]:
    """The messages as the job holds them; fetches the images once everything else is valid. Raises InvalidInput."""
    if not given:
        raise InvalidInput("messages is empty.", param="messages")
    calls = [_checked_calls(message, f"messages[{index}]") for index, message in enumerate(given)]
    references = list(_image_references(given))
    images = iter(await load_images(references, source) if references else ())
    return tuple(_message(message, asked, images) for message, asked in zip(given, calls, strict=True))


def _checked_calls(message: ChatMessage, path: str) -> tuple[ToolCall, ...]:
    """The message's calls, where it has all that its role needs."""
    if message.content is None and not (message.role == "assistant" and message.tool_calls):
        raise InvalidInput(f"{path}.content is missing.", param="messages")
    if message.tool_calls and message.role != "assistant":
        raise InvalidInput(f"{path}.tool_calls: only an assistant calls tools.", param="messages")
    if message.role == "tool" and message.tool_call_id is None:
        raise InvalidInput(f"{path}.tool_call_id is missing.", param="messages")
    if isinstance(message.content, tuple):
        for index, part in enumerate(message.content):
            _check_part(part, f"{path}.content[{index}]")
    return tuple(
        ToolCall(
            id=call.id,
            name=call.function.name,
            arguments=call_arguments(
                call.function.arguments,
                path=f"{path}.tool_calls[{index}].function.arguments",
                param="messages",
            ),
        )
        for index, call in enumerate(message.tool_calls or ())
    )


def _check_part(part: ContentPart, path: str) -> None:
    if part.type not in ("text", "image_url"):
        raise InvalidInput(
            f"{path}: parts of type {part.type[:100]!r} are not read; there are text and image_url.",
            param="messages",
        )
    if (part.text if part.type == "text" else part.image_url) is None:
        raise InvalidInput(f"{path}.{part.type} is missing.", param="messages")


def _image_references(messages: Sequence[ChatMessage]) -> Iterator[ImageReference]:
    for turn, message in enumerate(messages):
        parts = message.content if isinstance(message.content, tuple) else ()
        for index, part in enumerate(parts):
            if part.type == "image_url" and part.image_url is not None:
                url = part.image_url.url if isinstance(part.image_url, ImageUrl) else part.image_url
                yield ImageReference(url, f"messages[{turn}].content[{index}].image_url")


def _message(message: ChatMessage, calls: tuple[ToolCall, ...], images: Iterator[bytes]) -> Message:
    """images: as many are taken as the message has, in order."""
    content = message.content or ()
    if isinstance(content, str):
        parts: tuple[TextPart | ImagePart, ...] = (TextPart(content),)
    else:
        parts = tuple(
            TextPart(part.text or "") if part.type == "text" else ImagePart(next(images)) for part in content
        )
    return Message(
        # OpenAI's newer name for the same role; chat templates know the older one.
        role="system" if message.role == "developer" else message.role,
        content=parts,
        reasoning=message.reasoning_content or "",
        tool_calls=calls,
        tool_call_id=message.tool_call_id,
        name=message.name,
    )
