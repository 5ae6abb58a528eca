"""Whether bytes from outside are an image that can be decoded and is within the limits."""

import asyncio
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING

from jobs.errors import InvalidInput
from jobs.settings import Settings

if TYPE_CHECKING:
    from PIL import Image

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_NAMES = "PNG, JPEG, WebP, GIF, BMP or TIFF"
# Bounds the memory of decoding: 4 to 8 bytes per pixel for each.
_THREADS = 2

# A progressive JPEG may paint all of its pixels again with every few bytes. Real ones have about ten scans; libtiff
# has the same limit for the JPEGs in a TIFF.
_MAX_JPEG_SCANS = 100
_MAX_JPEG_SEGMENTS = 10_000
_JPEG_START = b"\xff\xd8"
_JPEG_END = 0xD9
_JPEG_SCAN = 0xDA
# Within a scan FF is followed by 00 or a restart marker.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])", re.DOTALL)


class ImageChecker:
    """Checks images, two at a time, in threads of its own: the event loop does not wait for a large one."""

    def __init__(self, settings: Settings) -> None:
        self._max_pixels = settings.max_image_pixels
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="image-check")

    async def check(self, data: bytes, *, param: str) -> None:
        """As check_image, which says what is raised."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._check, data, param)

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _check(self, data: bytes, param: str) -> None:
        check_image(data, max_pixels=self._max_pixels, param=param)


def check_image(data: bytes, *, max_pixels: int, param: str) -> None:
    """Nothing, if `data` is a whole PNG, JPEG, WebP, GIF, BMP or TIFF of at most max_pixels. Takes up to seconds.

    Of an animation or of several pages only the first image is checked, because only it is used. Too many pixels
    are found in the header, before any memory is taken for them. param: the request's field at fault.
    Raises: InvalidInput.
    """
    from PIL import Image, UnidentifiedImageError

    # Pillow raises at twice its own limit, before it takes memory for a size that it read, and warns at once the limit.
    Image.MAX_IMAGE_PIXELS = -(-max_pixels // 2)
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    if _is_endless_jpeg(data):
        raise InvalidInput(
            f"The JPEG has more than {_MAX_JPEG_SCANS} scans, or no end of segments. Save it anew, not progressive.",
            param=param,
        )
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            if max(image.width * image.height, _tile_pixels(image)) > max_pixels:
                raise Image.DecompressionBombError
            image.draft(None, (1, 1))  # reads all of a JPEG, and computes an eighth of each side
            image.load()
    except Image.DecompressionBombError as error:
        raise InvalidInput(
            f"The picture has more than {max_pixels:,} pixels. Send a smaller one.", param=param
        ) from error
    except UnidentifiedImageError as error:
        raise InvalidInput(f"This is not a picture. Send a {_NAMES}.", param=param) from error
    except MemoryError:
        raise  # the machine is at fault, not the image
    except Exception as error:  # Pillow's decoders raise many types of errors at broken data
        raise InvalidInput(
            "The picture cannot be decoded: it is damaged or incomplete. Send it again, or save it anew.",
            param=param,
        ) from error


def _tile_pixels(image: "Image.Image") -> int:
    """Of one tile of a TIFF, which is decoded whole, however small the image is."""
    from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile

    if not isinstance(image, TiffImageFile):
        return 0
    return int(image.tag_v2.get(TILEWIDTH, 0)) * int(image.tag_v2.get(TILELENGTH, 0))


def _is_endless_jpeg(data: bytes) -> bool:
    """Whether a JPEG's first image has so many scans that decoding it would take minutes or hours."""
    if not data.startswith(_JPEG_START):
        return False
    at, scans = len(_JPEG_START), 0
    for _ in range(_MAX_JPEG_SEGMENTS):
        found = _JPEG_MARKER.search(data, at)
        if found is None or found[1][0] == _JPEG_END:
            return False
        scans += found[1][0] == _JPEG_SCAN
        if scans > _MAX_JPEG_SCANS:
            return True
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2])
    return True
