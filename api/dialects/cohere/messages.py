"""The messages and documents of Cohere's chat: read, checked, and turned into a job's."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec

from api.requests.images import ImageReference, ImageSource, load_images
from api.requests.parameters import NoEffect
from api.requests.tools import JsonObject, earlier_arguments, json_text
from jobs.content import ImagePart, TextPart
from jobs.errors import InvalidInput
from jobs.generate import Message, ToolCall

Part = TextPart | ImagePart


class CohereImageUrl(msgspec.Struct, frozen=True, kw_only=True):
    """url: a data URI, or an http(s) address."""

    url: str
    detail: Annotated[Any, NoEffect("a model reads an image in its own size")] = None


class TextContent(msgspec.Struct, frozen=True, tag="text"):
    text: str


class ImageContent(msgspec.Struct, frozen=True, tag="image_url"):
    image_url: CohereImageUrl


class ThinkingContent(msgspec.Struct, frozen=True, tag="thinking"):
    thinking: str


class CohereDocument(msgspec.Struct, frozen=True, kw_only=True):
    """data: what is known of it, by name; all of it is shown to the model."""

    data: JsonObject | str
    id: str | None = None


class DocumentContent(msgspec.Struct, frozen=True, tag="document"):
    document: CohereDocument


class CohereCalled(msgspec.Struct, frozen=True, kw_only=True):
    """arguments: as text; whatever a model has written is shown to the template as it is."""

    name: str
    arguments: Any = None


class CohereCall(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["function"] = "function"
    function: CohereCalled


class UserTurn(msgspec.Struct, frozen=True, kw_only=True, tag_field="role", tag="user"):
    content: str | tuple[TextContent | ImageContent, ...]


class AssistantTurn(msgspec.Struct, frozen=True, kw_only=True, tag_field="role", tag="assistant"):
    """tool_plan: what it wrote before its calls. citations: no part of what it said."""

    content: str | tuple[TextContent | ThinkingContent, ...] | None = None
    tool_plan: str | None = None
    tool_calls: tuple[CohereCall, ...] | None = None
    citations: Any = None


class SystemTurn(msgspec.Struct, frozen=True, kw_only=True, tag_field="role", tag="system"):
    content: str | tuple[TextContent, ...]


class ToolTurn(msgspec.Struct, frozen=True, kw_only=True, tag_field="role", tag="tool"):
    tool_call_id: str
    content: str | tuple[TextContent | DocumentContent, ...]


Turn = UserTurn | AssistantTurn | SystemTurn | ToolTurn
Document = str | CohereDocument


async def cohere_messages(
    turns: Sequence[Turn], documents: Sequence[Document], source: ImageSource | None
) -> tuple[Message, ...]:
    """The messages as the job holds them. Documents are a message of the system, behind those at the front.

    Fetches the images. Raises InvalidInput naming the place.
    """
    if not turns:
        raise InvalidInput("messages is empty.", param="messages")
    references = list(_references(turns))
    images = iter(await load_images(references, source) if references else ())
    found = [_message(turn, images) for turn in turns]
    if documents:
        front = next((at for at, each in enumerate(found) if each.role != "system"), len(found))
        found.insert(front, Message("system", (TextPart(_documents(documents)),)))
    return tuple(found)


def _references(turns: Sequence[Turn]) -> Iterator[ImageReference]:
    for at, turn in enumerate(turns):
        for index, block in enumerate(turn.content if isinstance(turn, UserTurn) else ()):
            if isinstance(block, ImageContent):
                yield ImageReference(block.image_url.url, f"messages[{at}].content[{index}].image_url")


def _message(turn: Turn, images: Iterator[bytes]) -> Message:
    """images: as many are taken as the turn has."""
    match turn:
        case UserTurn():
            return Message("user", tuple(_parts(turn.content, images)))
        case SystemTurn():
            return Message("system", tuple(_parts(turn.content, images)))
        case ToolTurn():
            return Message("tool", tuple(_parts(turn.content, images)), tool_call_id=turn.tool_call_id)
        case AssistantTurn():
            return _answer(turn, images)


def _answer(turn: AssistantTurn, images: Iterator[bytes]) -> Message:
    blocks = turn.content if isinstance(turn.content, tuple) else ()
    plan = (TextPart(turn.tool_plan),) if turn.tool_plan else ()
    return Message(
        "assistant",
        (*plan, *_parts(turn.content or (), images)),
        reasoning="".join(block.thinking for block in blocks if isinstance(block, ThinkingContent)),
        tool_calls=tuple(
            ToolCall(call.id, call.function.name, earlier_arguments(call.function.arguments, "messages"))
            for call in turn.tool_calls or ()
        ),
    )


def _parts(
    content: str | Sequence[TextContent | ImageContent | ThinkingContent | DocumentContent],
    images: Iterator[bytes],
) -> Iterator[Part]:
    """Of thoughts none: a message has a place of its own for them."""
    if isinstance(content, str):
        yield TextPart(content)
        return
    for index, block in enumerate(content):
        match block:
            case TextContent():
                yield TextPart(block.text)
            case ImageContent():
                yield ImagePart(next(images))
            case DocumentContent():
                yield TextPart(_document(block.document, index))
            case ThinkingContent():
                pass


def _documents(given: Sequence[Document]) -> str:
    return (
        "<documents>\n" + "".join(_document(each, index) for index, each in enumerate(given)) + "</documents>"
    )


def _document(given: Document, index: int) -> str:
    """Chat templates know no documents: its text says where it begins and ends."""
    data = given if isinstance(given, str) else given.data
    name = (given.id if isinstance(given, CohereDocument) else None) or f"doc:{index}"
    lines = [data] if isinstance(data, str) else [f"{key}: {_value(value)}" for key, value in data.items()]
    text = "\n".join(lines)
    return f'<document id="{name}">\n{text}\n</document>\n'


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value, "documents")
