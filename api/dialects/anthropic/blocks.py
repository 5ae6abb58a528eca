"""The blocks that messages of Anthropic's body are made of, as they come."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from jobs.errors import InvalidInput


class CacheControl(msgspec.Struct, frozen=True, kw_only=True):
    """Every prompt is kept in the prefix cache as long as there is room. ttl: not used."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class Cached(msgspec.Struct, frozen=True, kw_only=True):
    """What every block may have."""

    cache_control: CacheControl | None = None


class TextBlock(Cached, frozen=True, tag="text"):
    """citations: of an earlier answer; no part of the text."""

    text: str
    citations: Any = None


class ImageOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """data: base64, where that is the type; url: an http(s) address. Files are refused: none are kept here."""

    type: Literal["base64", "url", "file"]
    media_type: str | None = None
    data: str | None = None
    url: str | None = None


class ImageTransformations(msgspec.Struct, frozen=True, kw_only=True):
    """error: an image that is too large is not scaled, which is refused."""

    oversized_image: Literal["downsize", "error"] | None = None


class ImageBlock(Cached, frozen=True, tag="image"):
    source: ImageOrigin
    transformations: ImageTransformations | None = None


class Citations(msgspec.Struct, frozen=True, kw_only=True):
    """enabled: refused."""

    enabled: bool | None = None


class DocumentOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """data: where the type is text. content: where it is so called. PDFs and files are refused."""

    type: Literal["text", "content", "base64", "url", "file"]
    media_type: str | None = None
    data: str | None = None
    content: str | tuple[TextBlock | ImageBlock, ...] | None = None
    url: str | None = None


class DocumentBlock(Cached, frozen=True, tag="document"):
    """context: what the caller says of the document."""

    source: DocumentOrigin
    title: str | None = None
    context: str | None = None
    citations: Citations | None = None


class SearchResultBlock(Cached, frozen=True, tag="search_result"):
    """source: where it was found."""

    source: str
    title: str
    content: tuple[TextBlock, ...]
    citations: Citations | None = None


class ToolUseBlock(Cached, frozen=True, tag="tool_use"):
    """input: an object; what else a model has written is shown to the template as it is."""

    id: str
    name: str
    input: Any = None


Shown = TextBlock | ImageBlock | DocumentBlock | SearchResultBlock


class ToolResultBlock(Cached, frozen=True, tag="tool_result"):
    tool_use_id: str
    content: str | tuple[Shown, ...] | None = None
    is_error: bool | None = None


class ThinkingBlock(msgspec.Struct, frozen=True, tag="thinking"):
    """What an earlier reply gave. Its signature is not checked."""

    thinking: str


class RedactedThinkingBlock(msgspec.Struct, frozen=True, tag="redacted_thinking"):
    """Thoughts that only their maker can read; left out."""


Block = Shown | ToolUseBlock | ToolResultBlock | ThinkingBlock | RedactedThinkingBlock


def blocks_of(content: str | tuple[Block, ...] | None) -> tuple[Block, ...]:
    """A content as blocks; a text is one."""
    return (TextBlock(text=content),) if isinstance(content, str) else content or ()


def only_field(source: ImageOrigin | DocumentOrigin, field: str, path: str) -> Any:
    """What the source has in the field of its type; never None.

    Raises InvalidInput where it has none, or something in a field of another type, which nobody would read.
    """
    for name in ("data", "content", "url"):
        if name != field and getattr(source, name, None) is not None:
            raise InvalidInput(
                f"{path}.source.{name} is not of the type {source.type}. Leave it out.", param="messages"
            )
    found = getattr(source, field)
    if found is None:
        raise InvalidInput(f"{path}.source.{field} is missing.", param="messages")
    return found


def asks_for_cache(blocks: Sequence[Block]) -> bool:
    """Whether one of them, or one within them, is where a cache is to begin."""
    return any(isinstance(each, Cached) and each.cache_control for each in _all(blocks))


def _all(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block
        if isinstance(block, ToolResultBlock):
            yield from _all(blocks_of(block.content))
        elif isinstance(block, DocumentBlock):
            yield from _all(blocks_of(block.source.content))
        elif isinstance(block, SearchResultBlock):
            yield from block.content
