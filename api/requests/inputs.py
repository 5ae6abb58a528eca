"""Inputs as bodies give them: texts, token ids, texts with images; to be embedded, continued or ranked."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import msgspec

from api.requests.images import ImageReference, ImageSource, load_images
from api.work.queue import Queue
from jobs.content import ImagePart, MixedInput, TextPart
from jobs.errors import InputTooLong, InvalidInput, NoWorker
from jobs.rerank import Passage

_IMAGE_TEXT = re.compile(r"(https?://\S+|data:image/\S+|data:[^,\s]*;base64,\S+)\Z", re.IGNORECASE)
_DATA_URI = re.compile(r"data:image/", re.IGNORECASE)

MANY_IDS = 1000
"""The worker checks shorter inputs, because it knows the model's limit exactly."""


class TextOrImage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """image: an http(s) address, a data URI, or the base64 alone; where there is a text, too, it is read after it."""

    text: str | None = None
    image: str | None = None


class PassagePartUrl(msgspec.Struct, frozen=True):
    url: str


class PassagePart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """type: text or image_url; which of the other fields is there follows from it."""

    type: str
    text: str | None = None
    image_url: PassagePartUrl | str | None = None


class PassageObject(TextOrImage, frozen=True, kw_only=True, omit_defaults=True):
    """content: vLLM's form, texts and images in the order they are read; excludes the other two."""

    content: tuple[PassagePart, ...] | None = None


TokenId = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Inputs = str | tuple[str | TokenId | tuple[TokenId, ...], ...]
MixedInputs = str | TextOrImage | tuple[str | TokenId | tuple[TokenId, ...] | TextOrImage, ...]
GivenInput = str | tuple[int, ...] | TextOrImage
GivenPassage = str | PassageObject


def split_mixed_inputs(
    given: MixedInputs, max_inputs: int, field: str
) -> tuple[str | tuple[int, ...] | TextOrImage, ...]:
    """As split_inputs, for texts and images in any order. Raises InvalidInput, naming the field."""
    if isinstance(given, TextOrImage):
        return (given,)
    if isinstance(given, str) or not any(isinstance(each, TextOrImage) for each in given):
        return split_inputs(given, max_inputs, field)  # pyright: ignore[reportArgumentType]: checked just now
    if not all(isinstance(each, str | TextOrImage) for each in given):
        raise InvalidInput(f"{field} mixes texts, pictures and token ids.", param=field)
    check_at_most(given, max_inputs, field)
    return given  # pyright: ignore[reportReturnType]


def split_inputs(given: Inputs, max_inputs: int, field: str) -> tuple[str | tuple[int, ...], ...]:
    """One element per text. Raises InvalidInput, naming the field, where they are mixed, empty or too many."""
    if isinstance(given, str):
        given = (given,)
    kinds = set(map(type, given))
    if kinds == {int}:
        return (given,)  # pyright: ignore[reportReturnType]: the line above has read every element
    if not kinds:
        raise InvalidInput(f"{field} is empty.", param=field)
    if len(kinds) > 1:
        raise InvalidInput(f"{field} mixes texts and token ids.", param=field)
    check_at_most(given, max_inputs, field)
    if not all(given):
        index = next(i for i, item in enumerate(given) if not item)
        raise InvalidInput(f"{field}[{index}] is empty.", param=field)
    return given  # pyright: ignore[reportReturnType]: one kind, and not int


async def check_ids(queue: Queue, model: str, inputs: Sequence[object], field: str) -> None:
    """Raises InputTooLong for token ids that are far too many for the model: megabytes of them keep a worker busy."""
    for index, ids in enumerate(inputs):
        count = len(ids) if isinstance(ids, tuple) else 0  # pyright: ignore[reportUnknownArgumentType]
        if count > MANY_IDS:
            for info in await queue.models():
                if (
                    info.id == model and info.is_announced and count > 2 * info.max_tokens
                ):  # special ones do not count
                    raise InputTooLong(
                        f"Input {index}: {count} tokens. This model's maximum context length is {info.max_tokens} "
                        'tokens. Shorten it, or set `truncate` to "end" or "start".',
                        param=field,
                    )


def may_be_image(given: object) -> bool:
    """Whether an input is an image, or may be one: a text that is an address or a data URI is one for some models."""
    return isinstance(given, TextOrImage) or (isinstance(given, str) and bool(_IMAGE_TEXT.match(given)))


def is_data_uri(text: str) -> bool:
    """Whether a text is the data URI of an image."""
    return bool(_DATA_URI.match(text))


def check_at_most(given: Sequence[object], max_inputs: int, field: str) -> None:
    """Raises InvalidInput, naming the field."""
    if len(given) > max_inputs:
        raise InvalidInput(f"{field} has {len(given)} items; at most {max_inputs} are allowed.", param=field)


class PassageField(NamedTuple):
    """A field of a reranking's body."""

    name: str
    given: GivenPassage | Sequence[GivenPassage]
    """One passage, or a list of them."""


class _Input(NamedTuple):
    """An input of an embedding, once it is clear what it is."""

    text: str | tuple[int, ...]
    image: ImageReference | None


async def load_inputs(
    queue: Queue,
    model: str,
    given: Sequence[GivenInput],
    image_url: str | None,
    source: ImageSource | None,
) -> tuple[str | tuple[int, ...] | MixedInput, ...]:
    """The inputs of an embedding as jobs have them. An object may have an image. For a model with vision, a text that
    is an address or a data URI is an image too. Images are fetched once everything else is valid.

    image_url: an image that goes with each text. Raises InvalidInput naming the path, UnknownModel, and NoWorker where
    it is not known whether the model has vision.
    """
    info = await queue.model(model, "embed")
    if not info.is_announced and (image_url is not None or any(map(may_be_image, given))):
        raise NoWorker(
            f"No worker has served {model} yet, so it is not known whether it reads images. "
            "Send texts, or wait for a worker."
        )
    has_vision = "vision" in info.abilities
    inputs = [
        _read(each, f"input[{index}]", image_url, has_vision=has_vision) for index, each in enumerate(given)
    ]
    references = [each.image for each in inputs if each.image]
    if references and not has_vision:
        raise InvalidInput(
            f"{references[0].path} is a picture, and the model {model} reads texts only.",
            param=references[0].param,
        )
    images = iter(await load_images(references, source))
    return tuple(_embeddable(each, images) for each in inputs)


async def load_passages(
    fields: Sequence[PassageField], source: ImageSource | None
) -> list[tuple[Passage, ...]]:
    """The passages of each field. Images are fetched once everything else is valid. Raises InvalidInput by the path."""
    with_paths = [list(_with_paths(field)) for field in fields]
    wanted = [found for each in with_paths for path, given in each for found in _images_of(given, path)]
    images = iter(await load_images(wanted, source) if wanted else ())
    return [tuple(_passage(given, images) for _, given in each) for each in with_paths]


def _read(given: GivenInput, path: str, image_url: str | None, *, has_vision: bool) -> _Input:
    if isinstance(given, TextOrImage):
        if given.image is not None:
            return _Input(given.text or "", ImageReference(given.image, f"{path}.image"))
        if not given.text:
            raise InvalidInput(f"{path} needs a text or an image.", param="input")
        given = given.text
    elif isinstance(given, str) and may_be_image(given) and (has_vision or is_data_uri(given)):
        # Without vision an address is a text like any other.
        return _Input("", ImageReference(given, path))
    if image_url is not None and isinstance(given, str):
        return _Input(given, ImageReference(image_url, "image_url"))
    return _Input(given, None)


def _embeddable(given: _Input, images: Iterator[bytes]) -> str | tuple[int, ...] | MixedInput:
    """images: one is taken if the input has one."""
    if given.image is None:
        return given.text
    assert isinstance(given.text, str), "token ids have no image"
    text = (TextPart(given.text),) if given.text else ()
    return MixedInput((ImagePart(next(images)), *text))


def _with_paths(field: PassageField) -> Iterator[tuple[str, GivenPassage]]:
    """Each passage with its path in the body."""
    if isinstance(field.given, str | PassageObject):
        yield field.name, field.given
    else:
        for index, given in enumerate(field.given):
            yield f"{field.name}[{index}]", given


def _images_of(given: GivenPassage, path: str) -> list[ImageReference]:
    """The images of a passage, in order. Raises InvalidInput for an empty passage."""
    if isinstance(given, PassageObject) and given.content is not None:
        return _images_in(given, given.content, path)
    text, image = (given, None) if isinstance(given, str) else (given.text, given.image)
    if image is not None:
        return [ImageReference(image, f"{path}.image")]
    if not text:
        what = "is empty" if text is not None else "needs a text or an image"
        raise InvalidInput(f"{path} {what}.", param=path.partition("[")[0])
    return []


def _images_in(given: PassageObject, content: Sequence[PassagePart], path: str) -> list[ImageReference]:
    """Raises InvalidInput for parts that are not read, and where there is nothing to read."""
    param = path.partition("[")[0]
    if given.text is not None or given.image is not None:
        raise InvalidInput(f"{path} has a content, and a text or an image beside it.", param=param)
    found: list[ImageReference] = []
    for index, part in enumerate(content):
        here = f"{path}.content[{index}]"
        if part.type not in ("text", "image_url"):
            raise InvalidInput(
                f"{here}: parts of type {part.type[:100]!r} are not read; there are text and image_url.",
                param=param,
            )
        if (part.text if part.type == "text" else part.image_url) is None:
            raise InvalidInput(f"{here}.{part.type} is missing.", param=param)
        if part.type == "image_url" and part.image_url is not None:
            url = part.image_url.url if isinstance(part.image_url, PassagePartUrl) else part.image_url
            found.append(ImageReference(url, f"{here}.image_url"))
    if not found and not any(part.text for part in content):
        raise InvalidInput(f"{path} needs a text or an image.", param=param)
    return found


def _passage(given: GivenPassage, images: Iterator[bytes]) -> Passage:
    """images: as many are taken as the passage has."""
    if isinstance(given, str):
        return given
    if given.content is not None:
        parts = tuple(
            ImagePart(next(images)) if part.type == "image_url" else TextPart(part.text or "")
            for part in given.content
        )
        has_image = any(isinstance(part, ImagePart) for part in parts)
        return parts if has_image else "\n".join(part.text or "" for part in given.content)
    if given.image is None:
        return given.text or ""
    text = (TextPart(given.text),) if given.text else ()
    return (ImagePart(next(images)), *text)
