"""Which media type content has, for the few that browsers may show by themselves."""

_BEGINNINGS = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
)
UNKNOWN = "application/octet-stream"


def media_type(beginning: bytes) -> str:
    """By its first bytes, never by its name. Whatever could run scripts in a browser is not among them."""
    if beginning.startswith(b"RIFF") and beginning[8:12] == b"WEBP":
        return "image/webp"
    return next((name for start, name in _BEGINNINGS if beginning.startswith(start)), UNKNOWN)
