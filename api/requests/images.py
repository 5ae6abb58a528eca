"""Images that come with a request: base64, data URIs, or addresses to fetch them from."""

import binascii
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol
from urllib.parse import unquote, unquote_to_bytes

from api.work.gather import all_of
from jobs.errors import InvalidInput

_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):")
_DATA_URI = re.compile(
    r"data:(?P<type>[^,;]*)(?P<parameters>(?:;[^,;]*)*?)(?P<base64>;base64)?,", re.IGNORECASE
)
_USUAL_ALPHABET = str.maketrans("-_", "+/")
# A path begins with its field: `documents[2].image`.
_FIELD_END = re.compile(r"[.\[]")


MAX_IMAGES = 256
"""In one request. A worker holds the patches of all images of a job in memory: up to 5 MB each for some models."""


class ImageSource(Protocol):
    """Who fetches and checks images: GuardedImageSource (api.fetch) in service, a dictionary in tests."""

    async def fetch(self, url: str, *, param: str) -> bytes:
        """The image at an http(s) address. Raises InvalidInput."""
        ...

    async def check(self, data: bytes, *, param: str) -> None:
        """Raises InvalidInput for what is no image, or one too large to be decoded."""
        ...


class ImageReference(NamedTuple):
    """An image as the caller named it."""

    text: str
    """An http(s) address, a data URI, or base64."""
    path: str
    """Where in the body it is, for error messages: `messages[0].images[1]`."""

    @property
    def param(self) -> str:
        """The field of the body that it is in."""
        return _FIELD_END.split(self.path, maxsplit=1)[0]


async def load_images(references: Sequence[ImageReference], source: ImageSource | None) -> list[bytes]:
    """The encoded images, in order. Addresses are fetched at the same time, once the other references are valid.

    source: None where addresses are not fetched and images are not checked. Raises InvalidInput naming the path.
    """
    if len(references) > MAX_IMAGES:
        raise InvalidInput(
            f"There are {len(references)} images, and at most {MAX_IMAGES} may come in one request. Send the others in "
            "further ones: they share batches all the same.",
            param=references[MAX_IMAGES].param,
        )
    found = [None if _ADDRESS.match(each.text) else _decode(each) for each in references]
    missing = [index for index, data in enumerate(found) if data is None]
    if missing and source is None:
        first = references[missing[0]]
        raise InvalidInput(
            f"{first.path}: this server fetches no images. Send the image as base64.", param=first.param
        )
    if missing and source is not None:
        fetched = await all_of(_fetch(source, references[index]) for index in missing)
        for index, data in zip(missing, fetched, strict=True):
            found[index] = data
    images = [data for data in found if data is not None]
    if source is not None:
        await all_of(_check(source, *each) for each in zip(references, images, strict=True))
    return images


async def _fetch(source: ImageSource, reference: ImageReference) -> bytes:
    with _named(reference):
        return await source.fetch(reference.text, param=reference.param)


async def _check(source: ImageSource, reference: ImageReference, data: bytes) -> None:
    with _named(reference):
        await source.check(data, param=reference.param)


@contextmanager
def _named(reference: ImageReference) -> Generator[None]:
    """Puts the path before the message of an error: an image source does not know it."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(f"{reference.path}: {error.message}", param=error.param) from error


def _decode(reference: ImageReference) -> bytes:
    """The bytes that a data URI or base64 stands for; whether they are an image is theirs to say, not their type's."""
    (text, path), param = reference, reference.param
    uri = _DATA_URI.match(text)
    if uri is None and (scheme := _SCHEME.match(text)):
        raise InvalidInput(
            f"{path}: {scheme['scheme'][:20]}: is not read. An image is an http(s) address, a data URI or base64.",
            param=param,
        )
    written = text[uri.end() :] if uri else text
    if uri and not uri["base64"]:
        data = unquote_to_bytes(written)
    else:
        try:
            data = _from_base64(unquote(written) if "%" in written else written)
        except (binascii.Error, ValueError) as error:
            raise InvalidInput(f"{path}: not valid base64: {error}.", param=param) from error
    if not data:
        raise InvalidInput(f"{path}: the image is empty.", param=param)
    return data


def _from_base64(text: str) -> bytes:
    """In either alphabet, padded or not, in lines or in one. Raises ValueError for anything else in it."""
    # Tools break lines in base64; anything else that does not belong there is an error.
    digits = "".join(text.split()).translate(_USUAL_ALPHABET).rstrip("=")
    return binascii.a2b_base64(digits + "=" * (-len(digits) % 4), strict_mode=True)
