"""From bytes to text, where nothing says for sure which encoding they are in."""

import codecs

from charset_normalizer import from_bytes

from ingest.documents.problem import Problem

SAMPLE_BYTES = 64 << 10
MIN_EVIDENCE = 16
"""Bytes beyond ASCII. With fewer there is nothing to guess from."""
WESTERN = "cp1252"
_USUAL = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "koi8_r"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949"),
)
"""Those that files still are in. Among all others there is one for which any noise looks like a text."""
_NOT_ASCII = bytes(range(128, 256))
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def marked_encoding(content: bytes) -> str | None:
    """What a mark at the beginning says."""
    return next((encoding for mark, encoding in _MARKS if content.startswith(mark)), None)


def decode(content: bytes, declared: str | None = None) -> tuple[str, tuple[Problem, ...]]:
    """The text, and a warning where its encoding is a guess. declared: what the document says itself."""
    for encoding in (marked_encoding(content), declared, "utf-8"):
        if encoding is not None and (text := _decoded(content, encoding)) is not None:
            return text, ()
    guess = _guess(content)
    text = content.decode(guess, errors="replace")
    message = (
        f"It is not in UTF-8 and does not say in which encoding it is: read as {guess}. If letters are wrong, convert "
        "it to UTF-8 (iconv) and ingest it again."
    )
    return text, (Problem("guessed_encoding", message),)


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _guess(content: bytes) -> str:
    sample = content[:SAMPLE_BYTES]
    sample = sample[: sample.rfind(b"\n") + 1] or sample
    if len(sample) - len(sample.translate(None, _NOT_ASCII)) < MIN_EVIDENCE:
        return WESTERN
    best = from_bytes(sample, cp_isolation=[*_USUAL]).best()
    return WESTERN if best is None or best.encoding == "ascii" else best.encoding
