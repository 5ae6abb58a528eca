"""What text formats have in common: what is text at all, and how much of it is read."""

from ingest.documents.problem import DocumentError
from ingest.documents.source import Source
from ingest.documents.texts.encoding import marked_encoding

MAX_TEXT_BYTES = 64 << 20
MAX_CONTROLS = 0.01
"""Share of control characters in the first bytes: with more it is no text."""

_NOT_TO_READ = (b"{\\rtf", b"%!PS", b"\x7fELF")
"""They begin like texts, and are written for machines."""
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r\f\x1b")


def is_text(source: Source) -> bool:
    """Whether the content looks like text, in whatever encoding."""
    head = source.head
    if marked_encoding(head):
        return True
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return not head.startswith(_NOT_TO_READ) and b"\0" not in head and controls <= MAX_CONTROLS * len(head)


def suffix(source: Source) -> str:
    """Of the file's name without `.gz`, in small letters: ".md"."""
    path = source.path
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()


def read_content(source: Source) -> bytes:
    """The whole of it. Raises: DocumentError."""
    if source.size_bytes > MAX_TEXT_BYTES:
        raise DocumentError(
            "too_large",
            f"It is a text of more than {MAX_TEXT_BYTES >> 20} MiB. Part it into files and ingest these.",
        )
    with source.open() as file:
        return file.read(MAX_TEXT_BYTES)
