"""The messages of OpenAI's chat body: read, checked, and turned into a job's."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from api.requests.images import ImageReference, ImageSource, load_images
from api.requests.tools import earlier_arguments
from jobs.content import ImagePart, TextPart
from jobs.errors import InvalidInput
from jobs.generate import Message, ToolCall


class ImageUrl(msgspec.Struct, frozen=True):
    """url: an http(s) address, a data URI, or the base64 alone. detail: accepted and not used."""

    url: str
    detail: str | None = None


class ContentPart(msgspec.Struct, frozen=True, kw_only=True):
    """type: text, image_url or, of an assistant, refusal; which of the other fields is there follows from it."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | str | None = None


class CalledFunction(msgspec.Struct, frozen=True):
    """arguments: as text; whatever a model has written is shown to the template as it is."""

    name: str
    arguments: Any = None


class AskedCall(msgspec.Struct, frozen=True, kw_only=True):
    id: str | None = None
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """reasoning_content: what an earlier reply gave under this name, for templates that show it to the model again.

    function_call: of an assistant, OpenAI's old form of a single call. refusal: of an assistant, in the place of the
    content. What the assistant and its tools said may be nothing.
    """

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | tuple[ContentPart, ...] | UnsetType | None = UNSET
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: tuple[AskedCall, ...] | None = None
    function_call: CalledFunction | None = None
    tool_call_id: str | None = None
    name: str | None = None


_MAY_SAY_NOTHING = ("assistant", "tool")
"""Roles whose turns are a record of what was: they are not judged like new ones."""


async def chat_messages(given: Sequence[ChatMessage], source: ImageSource | None) -> tuple[Message, ...]:
    """The messages as the job holds them; fetches the images once everything else is valid. Raises InvalidInput."""
    if not given:
        raise InvalidInput("messages is empty.", param="messages")
    calls = [_checked_calls(message, turn) for turn, message in enumerate(given)]
    references = list(_image_references(given))
    images = iter(await load_images(references, source) if references else ())
    return tuple(_message(message, asked, images) for message, asked in zip(given, calls, strict=True))


def _checked_calls(message: ChatMessage, turn: int) -> tuple[ToolCall, ...]:
    """The message's calls, where it has all that its role needs. turn: its place among the messages."""
    path = f"messages[{turn}]"
    if message.role not in _MAY_SAY_NOTHING and not isinstance(message.content, str | tuple):
        what = "is missing" if message.content is UNSET else "is null, and a text or parts are needed"
        raise InvalidInput(f"{path}.content {what}.", param="messages")
    asked = message.tool_calls or ()
    if message.function_call is not None:
        asked = (*asked, AskedCall(function=message.function_call))
    if asked and message.role != "assistant":
        raise InvalidInput(f"{path}.tool_calls: only an assistant calls tools.", param="messages")
    if message.role == "tool" and message.tool_call_id is None:
        raise InvalidInput(f"{path}.tool_call_id is missing or null.", param="messages")
    if isinstance(message.content, tuple):
        for index, part in enumerate(message.content):
            _check_part(part, message.role, f"{path}.content[{index}]")
    return tuple(
        ToolCall(
            id=call.id or f"call_{turn}_{index}",
            name=call.function.name,
            arguments=earlier_arguments(call.function.arguments, "messages"),
        )
        for index, call in enumerate(asked)
    )


def _check_part(part: ContentPart, role: str, path: str) -> None:
    if part.type == "refusal" and role == "assistant":
        return
    if part.type not in ("text", "image_url"):
        raise InvalidInput(
            f"{path}: parts of type {part.type[:100]!r} are not read; there are text and image_url.",
            param="messages",
        )
    if (part.text if part.type == "text" else part.image_url) is None:
        raise InvalidInput(f"{path}.{part.type} is missing or null.", param="messages")


def _image_references(messages: Sequence[ChatMessage]) -> Iterator[ImageReference]:
    for turn, message in enumerate(messages):
        parts = message.content if isinstance(message.content, tuple) else ()
        for index, part in enumerate(parts):
            if part.type == "image_url" and part.image_url is not None:
                url = part.image_url.url if isinstance(part.image_url, ImageUrl) else part.image_url
                yield ImageReference(url, f"messages[{turn}].content[{index}].image_url")


def _message(message: ChatMessage, calls: tuple[ToolCall, ...], images: Iterator[bytes]) -> Message:
    """images: as many are taken as the message has, in order."""
    content = message.content or message.refusal or ()
    if isinstance(content, str):
        parts: tuple[TextPart | ImagePart, ...] = (TextPart(content),)
    else:
        parts = tuple(
            ImagePart(next(images)) if part.type == "image_url" else TextPart(part.text or part.refusal or "")
            for part in content
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
