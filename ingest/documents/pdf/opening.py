"""PDFium's errors, in words that help."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import os
from typing import Any

import pypdfium2.raw as pdfium
from pypdfium2 import PdfDocument

from ingest.documents.problem import DocumentError
from ingest.documents.source import Source

TAIL_BYTES = 64 << 10
"""The end mark of a PDF is looked for in so many of its last bytes: some have anything behind it."""


def open_pdf(source: Source, passwords: tuple[str, ...]) -> PdfDocument:
    """With its forms, which PDFium draws only if it knew of them before the first page. The source must outlive it.

    Raises: DocumentError.
    """
    for password in ("", *passwords):
        raw = _load(source, password.encode() + b"\0")
        if raw:
            break
        error = pdfium.FPDF_GetLastError()  # of a call that has failed; other calls leave it as it was
        if error != pdfium.FPDF_ERR_PASSWORD:
            raise _refusal(source, error)
    else:
        raise DocumentError(
            "encrypted",
            "None of the passwords opens it. Add its password to the password file."
            if passwords
            else "It needs a password. Put it into a file, one a line, and name that with --password-file.",
        )
    pdf = PdfDocument(raw)
    pdf.init_forms()
    if len(pdf) == 0:
        pdf.close()
        raise DocumentError("empty", "It has no pages.")
    return pdf


def _load(source: Source, password: bytes) -> Any:
    if source.unpacked is None:
        return pdfium.FPDF_LoadDocument(os.fsencode(source.path) + b"\0", password)
    return pdfium.FPDF_LoadMemDocument64(source.unpacked, len(source.unpacked), password)


def has_end_mark(source: Source) -> bool:
    """Whether it ends as a PDF does."""
    with source.open() as file:
        file.seek(max(0, source.size_bytes - TAIL_BYTES))
        return b"%%EOF" in file.read()


def _refusal(source: Source, error: int) -> DocumentError:
    if error == pdfium.FPDF_ERR_SECURITY:
        return DocumentError(
            "unsupported", "It is encrypted in a way that cannot be opened. Save it without encryption."
        )
    if not has_end_mark(source):
        return DocumentError("truncated", "Its end is missing: fetch it again.")
    return DocumentError(
        "unreadable", "It is damaged, and PDFium cannot open it. Fetch it again, or repair it."
    )
