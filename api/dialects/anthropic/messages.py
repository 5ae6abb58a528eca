"""The messages of Anthropic's body: read, checked, and turned into a job's."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from api.requests.images import ImageReference, ImageSource, load_images
from api.requests.tools import earlier_arguments
from jobs.content import ImagePart, TextPart
from jobs.errors import InvalidInput
from jobs.generate import Message, ToolCall

Part = TextPart | ImagePart


class TextBlock(msgspec.Struct, frozen=True, tag="text"):
    text: str


class ImageOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """data: base64, where that is the type; url: an http(s) address."""

    type: Literal["base64", "url"]
    media_type: str | None = None
    data: str | None = None
    url: str | None = None


class ImageBlock(msgspec.Struct, frozen=True, tag="image"):
    source: ImageOrigin


class ToolUseBlock(msgspec.Struct, frozen=True, tag="tool_use"):
    """input: an object; what else a model has written is shown to the template as it is."""

    id: str
    name: str
    input: Any = None


class ToolResultBlock(msgspec.Struct, frozen=True, tag="tool_result"):
    tool_use_id: str
    content: str | tuple[TextBlock | ImageBlock, ...] | None = None
    is_error: bool | None = None


class ThinkingBlock(msgspec.Struct, frozen=True, tag="thinking"):
    """What an earlier reply gave. Its signature is ignored, because mlxq makes none."""

    thinking: str


class RedactedThinkingBlock(msgspec.Struct, frozen=True, tag="redacted_thinking"):
    """Thoughts that only their maker can read; left out."""


Block = TextBlock | ImageBlock | ToolUseBlock | ToolResultBlock | ThinkingBlock | RedactedThinkingBlock

_ALLOWED: dict[str, tuple[type, ...]] = {
    "system": (TextBlock,),
    "user": (TextBlock, ImageBlock, ToolResultBlock),
    "assistant": (TextBlock, ThinkingBlock, RedactedThinkingBlock, ToolUseBlock),
}


class AnthropicMessage(msgspec.Struct, frozen=True, kw_only=True):
    role: Literal["user", "assistant", "system"]
    content: str | tuple[Block, ...]


def system_message(given: str | tuple[TextBlock, ...] | None) -> tuple[Message, ...]:
    """The system's message, if there is one."""
    return (_rules(_blocks(given)),) if given else ()


async def anthropic_messages(
    given: Sequence[AnthropicMessage], source: ImageSource | None
) -> tuple[Message, ...]:
    """The messages as the job holds them; results of tools become messages of their own. Raises InvalidInput."""
    if not given:
        raise InvalidInput("messages is empty.", param="messages")
    if given[-1].role == "assistant":
        raise InvalidInput(
            "The last message is the assistant's: an answer cannot be begun for the model.", param="messages"
        )
    for index, message in enumerate(given):
        _check(message, f"messages[{index}]")
    references = [
        reference
        for index, message in enumerate(given)
        for reference in _references(_blocks(message.content), f"messages[{index}].content")
    ]
    images = iter(await load_images(references, source))
    return tuple(turn for message in given for turn in _turns(message, images))


def _blocks(content: str | tuple[Block, ...] | None) -> tuple[Block, ...]:
    return (TextBlock(content),) if isinstance(content, str) else content or ()


def _check(message: AnthropicMessage, path: str) -> None:
    """Raises InvalidInput for a block that the message's role cannot have: only an assistant thinks and calls tools."""
    for index, block in enumerate(_blocks(message.content)):
        if not isinstance(block, _ALLOWED[message.role]):
            kind = block.__struct_config__.tag
            raise InvalidInput(
                f"{path}.content[{index}]: no {kind} in a message of the {message.role}.", param="messages"
            )


def _references(blocks: Sequence[Block], path: str) -> Iterator[ImageReference]:
    for index, block in enumerate(blocks):
        here = f"{path}[{index}]"
        if isinstance(block, ToolResultBlock):
            yield from _references(_blocks(block.content), f"{here}.content")
        elif isinstance(block, ImageBlock):
            yield _reference(block.source, f"{here}.source")


def _reference(source: ImageOrigin, path: str) -> ImageReference:
    field = "data" if source.type == "base64" else "url"
    text = source.data if source.type == "base64" else source.url
    if text is None:
        raise InvalidInput(f"{path}.{field} is missing.", param="messages")
    is_address = text[:8].lower().startswith(("http://", "https://"))
    if is_address != (source.type == "url"):
        raise InvalidInput(f"{path}.{field} is not what its type says ({source.type}).", param="messages")
    return ImageReference(text, path)


def _turns(message: AnthropicMessage, images: Iterator[bytes]) -> Iterator[Message]:
    """A tool's result is a message of its own; what is between results stays together, in order."""
    if message.role != "user":
        blocks = _blocks(message.content)
        yield _answer(blocks) if message.role == "assistant" else _rules(blocks)
        return
    parts: list[Part] = []
    for block in _blocks(message.content):
        if isinstance(block, ToolResultBlock):
            if parts:
                yield Message("user", tuple(parts))
                parts = []
            yield Message("tool", tuple(_result(block, images)), tool_call_id=block.tool_use_id)
        else:
            parts += _parts((block,), images)
    if parts or not _blocks(message.content):
        yield Message("user", tuple(parts))


def _rules(blocks: Sequence[Block]) -> Message:
    """What the system says; blocks are put on lines of their own."""
    text = "\n".join(block.text for block in blocks if isinstance(block, TextBlock))
    return Message("system", (TextPart(text),))


def _answer(blocks: Sequence[Block]) -> Message:
    """What the assistant said, thought and called before."""
    return Message(
        "assistant",
        tuple(TextPart(block.text) for block in blocks if isinstance(block, TextBlock)),
        reasoning="".join(block.thinking for block in blocks if isinstance(block, ThinkingBlock)),
        tool_calls=tuple(
            ToolCall(block.id, block.name, earlier_arguments(block.input, "messages"))
            for block in blocks
            if isinstance(block, ToolUseBlock)
        ),
    )


def _result(block: ToolResultBlock, images: Iterator[bytes]) -> Iterator[Part]:
    """Chat templates cannot mark a result as an error, so the text says it."""
    if block.is_error:
        yield TextPart("Error: ")
    yield from _parts(_blocks(block.content), images)


def _parts(blocks: Sequence[Block], images: Iterator[bytes]) -> Iterator[Part]:
    for block in blocks:
        if isinstance(block, TextBlock):
            yield TextPart(block.text)
        elif isinstance(block, ImageBlock):
            yield ImagePart(next(images))
