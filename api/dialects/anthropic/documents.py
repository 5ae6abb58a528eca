"""Documents and results of searches as a model reads them: chat templates know texts and images alone."""

from collections.abc import Sequence

from api.dialects.anthropic.blocks import (
    Block,
    Citations,
    DocumentBlock,
    SearchResultBlock,
    TextBlock,
    blocks_of,
    only_field,
)
from jobs.errors import InvalidInput


def document_blocks(block: DocumentBlock, path: str) -> tuple[Block, ...]:
    """The document's own blocks, between texts that say where it begins and ends and what is known of it.

    Raises InvalidInput for PDFs and files, which are not read, for fields of another type than the source's, and where
    citations are asked for.
    """
    _refuse_citations(block.citations, path)
    known = {"title": block.title, "context": block.context}
    return _framed("document", known, _content(block, path))


def search_result_blocks(block: SearchResultBlock, path: str) -> tuple[Block, ...]:
    """As a document. Raises InvalidInput where citations are asked for."""
    _refuse_citations(block.citations, path)
    return _framed("search_result", {"source": block.source, "title": block.title}, block.content)


def _content(block: DocumentBlock, path: str) -> Sequence[Block]:
    source = block.source
    if source.type not in ("text", "content"):
        raise InvalidInput(
            f"{path}.source: documents of type {source.type} are not read. Send the text, with the type text, or the "
            "pages as images, with the type content.",
            param="messages",
        )
    return blocks_of(only_field(source, "data" if source.type == "text" else "content", path))


def _framed(name: str, known: dict[str, str | None], content: Sequence[Block]) -> tuple[Block, ...]:
    lines = [f"<{key}>{value}</{key}>\n" for key, value in known.items() if value]
    before, behind = f"<{name}>\n{''.join(lines)}<content>\n", f"\n</content>\n</{name}>\n"
    return (TextBlock(text=before), *content, TextBlock(text=behind))


def _refuse_citations(asked: Citations | None, path: str) -> None:
    if asked and asked.enabled:
        raise InvalidInput(
            f"{path}.citations: answers cite nothing here. Leave it out, and ask for sources in words.",
            param="messages",
        )
