"""PDFium's errors, in words that help."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import pypdfium2.raw as pdfium
from pypdfium2 import PdfDocument, PdfiumError

from ingest.documents.problem import DocumentError
from ingest.documents.source import Source

TAIL_BYTES = 64 << 10
"""The end mark of a PDF is looked for in so many of its last bytes: some have anything behind it."""


def open_pdf(source: Source, passwords: tuple[str, ...]) -> PdfDocument:
    """With its forms, which PDFium draws only if it knew of them before the first page. Raises: DocumentError."""
    content = source.path if source.unpacked is None else source.unpacked
    for password in (None, *passwords):
        try:
            pdf = PdfDocument(content, password=password)
            pdf.init_forms()
        except PdfiumError as error:
            if error.err_code != pdfium.FPDF_ERR_PASSWORD:
                raise _refusal(source, error) from error
        else:
            return pdf
    raise DocumentError(
        "encrypted",
        "None of the passwords opens it. Add its password to the password file."
        if passwords
        else "It needs a password. Put it into a file, one a line, and name that with --password-file.",
    )


def has_end_mark(source: Source) -> bool:
    """Whether it ends as a PDF does."""
    with source.open() as file:
        file.seek(max(0, source.size_bytes - TAIL_BYTES))
        return b"%%EOF" in file.read()


def _refusal(source: Source, error: PdfiumError) -> DocumentError:
    if error.err_code == pdfium.FPDF_ERR_SECURITY:
        return DocumentError(
            "unsupported", "It is encrypted in a way that cannot be opened. Save it without encryption."
        )
    if not has_end_mark(source):
        return DocumentError("truncated", "Its end is missing: fetch it again.")
    return DocumentError(
        "unreadable", "It is damaged, and PDFium cannot open it. Fetch it again, or repair it."
    )
