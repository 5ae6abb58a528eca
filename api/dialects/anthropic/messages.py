"""The messages of Anthropic's body: checked, and turned into a job's."""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from api.dialects.anthropic.blocks import (
    Block,
    DocumentBlock,
    ImageBlock,
    RedactedThinkingBlock,
    SearchResultBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    blocks_of,
    only_field,
)
from api.dialects.anthropic.documents import document_blocks, search_result_blocks
from api.requests.images import ImageReference, ImageSource, load_images
from api.requests.tools import earlier_arguments
from jobs.content import ImagePart, TextPart
from jobs.errors import InvalidInput
from jobs.generate import Message, ToolCall

Part = TextPart | ImagePart

_ALLOWED: dict[str, tuple[type, ...]] = {
    "system": (TextBlock,),
    "user": (TextBlock, ImageBlock, DocumentBlock, SearchResultBlock, ToolResultBlock),
    "assistant": (TextBlock, ThinkingBlock, RedactedThinkingBlock, ToolUseBlock),
}


class AnthropicMessage(msgspec.Struct, frozen=True, kw_only=True):
    role: Literal["user", "assistant", "system"]
    content: str | tuple[Block, ...]


def system_message(given: str | tuple[TextBlock, ...] | None) -> tuple[Message, ...]:
    """The system's message, if there is one."""
    return (_rules(blocks_of(given)),) if given else ()


def without_empty_end(given: Sequence[AnthropicMessage]) -> Sequence[AnthropicMessage]:
    """The messages that say something: the assistant's last one may be empty, and begins no answer then."""
    if len(given) > 1 and given[-1].role == "assistant" and not given[-1].content:
        return given[:-1]
    return given


def begins_answer(given: Sequence[AnthropicMessage]) -> bool:
    """Whether the last message is the beginning of the answer.

    Raises InvalidInput where it is the assistant's, and does not end with a text that can be gone on with.
    """
    if not given or given[-1].role != "assistant":
        return False
    path, blocks = f"messages[{len(given) - 1}]", blocks_of(given[-1].content)
    if any(isinstance(block, ToolUseBlock) for block in blocks):
        raise InvalidInput(
            f"{path}: the result of each tool_use must follow in the next message.", param="messages"
        )
    last = blocks[-1] if blocks else None
    if not isinstance(last, TextBlock) or not last.text.strip():
        raise InvalidInput(
            f"{path}: the assistant's last message begins the answer, and must end with a text.",
            param="messages",
        )
    if last.text != last.text.rstrip():
        raise InvalidInput(
            f"{path}: final assistant content cannot end with trailing whitespace.", param="messages"
        )
    return True


async def anthropic_messages(
    given: Sequence[AnthropicMessage], source: ImageSource | None
) -> tuple[Message, ...]:
    """The messages as the job holds them; results of tools become messages of their own. Raises InvalidInput."""
    if not given:
        raise InvalidInput("messages is empty.", param="messages")
    contents = [
        tuple(_plain(blocks_of(message.content), message.role, f"messages[{index}].content"))
        for index, message in enumerate(given)
    ]
    references = [
        reference
        for index, message in enumerate(given)
        for reference in _references(blocks_of(message.content), f"messages[{index}].content")
    ]
    images = iter(await load_images(references, source))
    return tuple(
        turn
        for message, blocks in zip(given, contents, strict=True)
        for turn in _turns(message.role, blocks, images)
    )


def _plain(blocks: Sequence[Block], role: str | None, path: str) -> Iterator[Block]:
    """Documents and results of searches as texts and images, also those that tools have given.

    Raises InvalidInput for a block that the role's messages cannot have: only an assistant thinks and calls tools.
    """
    for index, block in enumerate(blocks):
        here = f"{path}[{index}]"
        if role and not isinstance(block, _ALLOWED[role]):
            kind = block.__struct_config__.tag
            raise InvalidInput(f"{here}: no {kind} in a message of the {role}.", param="messages")
        match block:
            case DocumentBlock():
                yield from document_blocks(block, here)
            case SearchResultBlock():
                yield from search_result_blocks(block, here)
            case ToolResultBlock() if isinstance(block.content, tuple):
                shown = tuple(_plain(block.content, None, f"{here}.content"))
                yield msgspec.structs.replace(block, content=shown)
            case _:
                yield block


def _references(blocks: Sequence[Block], path: str) -> Iterator[ImageReference]:
    """In the order in which `_plain` yields the images. blocks: such as `_plain` takes."""
    for index, block in enumerate(blocks):
        here = f"{path}[{index}]"
        if isinstance(block, ToolResultBlock):
            yield from _references(blocks_of(block.content), f"{here}.content")
        elif isinstance(block, DocumentBlock):
            yield from _references(blocks_of(block.source.content), f"{here}.source.content")
        elif isinstance(block, ImageBlock):
            yield _reference(block, here)


def _reference(block: ImageBlock, path: str) -> ImageReference:
    source = block.source
    if source.type == "file":
        raise InvalidInput(
            f"{path}.source: no files are kept here. Send the image as base64.", param="messages"
        )
    if block.transformations and block.transformations.oversized_image == "error":
        raise InvalidInput(
            f"{path}.transformations: an image that is too large is scaled down, as the model reads it.",
            param="messages",
        )
    field = "data" if source.type == "base64" else "url"
    text: str = only_field(source, field, path)
    is_address = text[:8].lower().startswith(("http://", "https://"))
    if is_address != (source.type == "url"):
        raise InvalidInput(
            f"{path}.source.{field} is not what its type says ({source.type}).", param="messages"
        )
    return ImageReference(text, f"{path}.source")


def _turns(role: str, blocks: Sequence[Block], images: Iterator[bytes]) -> Iterator[Message]:
    """A tool's result is a message of its own; what is between results stays together, in order."""
    if role != "user":
        yield _answer(blocks) if role == "assistant" else _rules(blocks)
        return
    parts: list[Part] = []
    for block in blocks:
        if isinstance(block, ToolResultBlock):
            if parts:
                yield Message("user", tuple(parts))
                parts = []
            yield Message("tool", tuple(_result(block, images)), tool_call_id=block.tool_use_id)
        else:
            parts += _parts((block,), images)
    if parts or not blocks:
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
    yield from _parts(blocks_of(block.content), images)


def _parts(blocks: Sequence[Block], images: Iterator[bytes]) -> Iterator[Part]:
    for block in blocks:
        if isinstance(block, TextBlock):
            yield TextPart(block.text)
        elif isinstance(block, ImageBlock):
            yield ImagePart(next(images))
