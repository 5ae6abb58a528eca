"""Kinds of images, told apart by their first bytes. Named as Pillow does."""

from collections.abc import Callable

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")
_BMP_HEADER_BYTES = (12, 16, 40, 52, 56, 64, 108, 124)


def _begins(*magics: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magics)


def _is_bmp(head: bytes) -> bool:
    """Two letters alone would take many a text for one."""
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_BYTES


def _is_brand(*brands: bytes) -> Callable[[bytes], bool]:
    return lambda head: head[4:8] == b"ftyp" and head[8:12] in brands


KINDS: dict[str, Callable[[bytes], bool]] = {
    "PNG": _begins(b"\x89PNG\r\n\x1a\n"),
    "JPEG": _begins(b"\xff\xd8\xff"),
    "WEBP": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
    "TIFF": _begins(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "GIF": _begins(b"GIF87a", b"GIF89a"),
    "HEIF": _is_brand(*_HEIF_BRANDS),
    "AVIF": _is_brand(*_AVIF_BRANDS),
    "BMP": _is_bmp,
}
