"""Pictures that come with a request: base64, data URIs, or addresses to fetch them from."""

import binascii
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from api.work.gather import all_of
from jobs.errors import InvalidInput

_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):")
_DATA_URI = re.compile(
    r"data:(?P<type>[^,;]*)(?P<parameters>(?:;[^,;]*)*?)(?P<base64>;base64)?,", re.IGNORECASE
)
# A place begins with its field: `documents[2].image`.
_FIELD_END = re.compile(r"[.\[]")


MAX_IMAGES = 256
"""In one request: a worker holds all that a job's pictures are cut up into, 5 MB each of some models."""


class ImageSource(Protocol):
    async def fetch(self, url: str, *, param: str) -> bytes:
        """The picture at an http(s) address. Raises InvalidInput."""
        ...

    async def check(self, data: bytes, *, param: str) -> None:
        """Raises InvalidInput for what is no picture, or one too large to be decoded."""
        ...


class ImageReference(NamedTuple):
    """A picture as the caller named it. place: where in the body, for the error message: `messages[0].images[1]`."""

    text: str
    place: str

    @property
    def param(self) -> str:
        """The field of the body that it is in."""
        return _FIELD_END.split(self.place, maxsplit=1)[0]


async def load_images(references: Sequence[ImageReference], source: ImageSource | None) -> list[bytes]:
    """The encoded pictures, in order. Addresses are fetched side by side, after everything else was found good.

    source: None where addresses are not fetched, nor pictures looked at. Raises InvalidInput naming the place.
    """
    if len(references) > MAX_IMAGES:
        raise InvalidInput(
            f"There are {len(references)} images, and at most {MAX_IMAGES} may come in one request. Send the others in "
            "further ones: they share batches all the same.",
            param=references[MAX_IMAGES].param,
        )
    found = [None if _ADDRESS.match(each.text) else _decode(each) for each in references]
    missing = [place for place, data in enumerate(found) if data is None]
    if missing and source is None:
        first = references[missing[0]]
        raise InvalidInput(
            f"{first.place}: this server fetches no images. Send the image as base64.", param=first.param
        )
    if missing and source is not None:
        fetched = await all_of(_fetch(source, references[place]) for place in missing)
        for place, data in zip(missing, fetched, strict=True):
            found[place] = data
    pictures = [data for data in found if data is not None]
    if source is not None:
        await all_of(_check(source, *each) for each in zip(references, pictures, strict=True))
    return pictures


async def _fetch(source: ImageSource, reference: ImageReference) -> bytes:
    with _named(reference):
        return await source.fetch(reference.text, param=reference.param)


async def _check(source: ImageSource, reference: ImageReference, data: bytes) -> None:
    with _named(reference):
        await source.check(data, param=reference.param)


@contextmanager
def _named(reference: ImageReference) -> Generator[None]:
    """Whoever fetches and checks knows the picture, not its place in the body."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(f"{reference.place}: {error.message}", param=error.param) from error


def _decode(reference: ImageReference) -> bytes:
    (text, place), param = reference, reference.param
    start = 0
    uri = _DATA_URI.match(text)
    if uri:
        if not uri["base64"]:
            raise InvalidInput(f"{place}: a data URI must be in base64.", param=param)
        if not uri["type"].lower().startswith("image/"):
            raise InvalidInput(f"{place}: not an image but {uri['type'][:100]!r}.", param=param)
        start = uri.end()
    elif scheme := _SCHEME.match(text):
        raise InvalidInput(
            f"{place}: {scheme['scheme'][:20]}: is not read. An image is an http(s) address, a data URI or base64.",
            param=param,
        )
    try:
        # Tools break lines in base64; anything else that does not belong there is an error.
        data = binascii.a2b_base64("".join(text[start:].split()), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(f"{place}: not valid base64: {error}.", param=param) from error
    if not data:
        raise InvalidInput(f"{place}: the image is empty.", param=param)
    return data
