"""An image that is open."""

from PIL import Image, UnidentifiedImageError

from ingest.documents.canvas import Canvas
from ingest.documents.fitting import scaled_size
from ingest.documents.images.rgb import check_size, to_rgb
from ingest.documents.page import Bookmark, Page, Word
from ingest.documents.problem import DocumentError
from ingest.documents.source import Source
from ingest.documents.wants import RenderBudget, Wants


class ImageDocument:
    """Images as an OpenedDocument."""

    def __init__(self, kind: str, source: Source) -> None:
        """kind: Pillow's name of the format. Raises: DocumentError."""
        if kind == "HEIF":
            import pillow_heif  # it takes a while, and few need it

            pillow_heif.register_heif_opener()  # pyright: ignore[reportUnknownMemberType]
        self._file = source.open()
        try:
            self._image = Image.open(self._file, formats=[kind])
            check_size(self._image)
            self.page_count: int = getattr(self._image, "n_frames", 1) if kind == "TIFF" else 1
        except BaseException as error:
            self._file.close()
            raise _refusal(error) from error

    def read(self, number: int, wants: Wants, canvas: Canvas) -> Page:
        if wants.image is not None:
            try:
                self._image.seek(number - 1)
                check_size(self._image)
                self._image.load()
                _put(to_rgb(self._image), wants.image, canvas)
            except Exception as error:
                raise _refusal(error) from error
        return Page(number, str(number))

    def words(self, number: int) -> list[Word]:
        return []

    def outline(self) -> list[Bookmark]:
        return []

    def close(self) -> None:
        self._image.close()
        self._file.close()


def _put(image: Image.Image, budget: RenderBudget, canvas: Canvas) -> None:
    size = scaled_size(*image.size, budget)
    if size != image.size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    canvas.area(*size)[:] = image.tobytes()


def _refusal(error: BaseException) -> BaseException:
    """Pillow's decoders raise what they like on broken data: OSError, SyntaxError, struct.error, ValueError, …"""
    if isinstance(error, DocumentError | MemoryError) or not isinstance(error, Exception):
        return error
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return DocumentError("too_large", "It has more pixels than are read. Make it smaller.")
    if isinstance(error, UnidentifiedImageError):
        return DocumentError("unreadable", "Its beginning is that of an image, and the rest is not.")
    if "truncated" in f"{error}":
        return DocumentError("truncated", "Its end is missing: fetch it again.")
    return DocumentError("unreadable", f"It is damaged: {error or type(error).__name__}.")
