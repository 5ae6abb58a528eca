"""Files of older office programs, and office documents with a password, which are wrapped in the same format."""

from typing import NoReturn

from ingest.documents.problem import DocumentError
from ingest.documents.source import Source

_SEARCHED_BYTES = 64 << 20
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


def is_ole(source: Source) -> bool:
    """Whether it is in Microsoft's compound format."""
    return source.head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")


def refuse_ole(source: Source, _passwords: tuple[str, ...]) -> NoReturn:
    """Raises: DocumentError."""
    with source.open() as file:
        if _ENCRYPTED in file.read(_SEARCHED_BYTES):
            raise DocumentError("encrypted", "It is an office document with a password. Save it without.")
    raise DocumentError(
        "unsupported", "It is of an older office program. Save it as .docx, .pptx or PDF and ingest that."
    )
