"""What a multi-vector model reads: queries, texts and images with the words around them that it was trained with.

The words are colpali_engine's, with one exception: its later releases leave "Query: " out, with which the published
models were trained and measured.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tokenizers import Tokenizer

from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import Truncate
from jobs.errors import InvalidInput
from workers.runners.checkpoint.folder import read_json
from workers.runners.tokens.tokenizer import Ids, ModelTokenizer, too_many_tokens
from workers.runners.vision.image_tokens import ImageTokens, grids_of, refuse_placeholders
from workers.runners.vision.images import decode
from workers.runners.vision.mixed_input import MixedItem

QUERY_PREFIX = "Query: "
WORDS_OF_TRAINING = "Describe the image."
"""What stands beside an image that came without text."""


class PromptTemplate(NamedTuple):
    """The words that a family was trained with."""

    query_prefix: str
    query_augmentation: str
    """What follows a query: tokens whose vectors may match what the query does not say."""
    visual_prefix: str
    """What goes before images and texts that are one input."""
    visual_suffix: str
    """What follows them."""
    placeholders: tuple[str, ...]
    """What stands for images, the image token's first."""

    def of_folder(self, folder: Path) -> "PromptTemplate":
        """With the query's prefix that a checkpoint names for transformers' processors."""
        named = read_json(folder / "processor_config.json").get("query_prefix")
        return self._replace(query_prefix=named or self.query_prefix)


class MultiVectorPrompts:
    """Any thread may use it: nothing runs on the device."""

    def __init__(
        self,
        tokenizer: Path,
        template: PromptTemplate,
        image_tokens: Callable[[Image.Image], ImageTokens],
        *,
        max_tokens: int,
        vocab_size: int,
        image_token: int,
    ) -> None:
        """tokenizer: tokenizer.json. image_tokens: of an RGB image. Raises InvalidInput."""
        whole = ModelTokenizer(tokenizer, max_tokens, vocab_size)
        self._augmentation = next(whole.encode([template.query_augmentation]))
        placeholder = template.placeholders[0]
        if next(whole.encode([placeholder])).tolist() != [image_token]:
            raise InvalidInput(f"{tokenizer} knows no {placeholder}, or by another id.", param="model")
        self._whole = whole
        self._texts = ModelTokenizer(tokenizer, max_tokens - len(self._augmentation), vocab_size)
        self._template = template
        self._image_tokens = image_tokens
        self._image_token = image_token

    @property
    def text_tokenizer(self) -> Tokenizer:
        return self._whole.backend

    def text(
        self,
        value: str | tuple[int, ...],
        *,
        is_query: bool,
        truncate: Truncate,
        max_tokens: int | None = None,
    ) -> MixedItem:
        """max_tokens: as in EmbedJob, what is put behind a query not counted. Raises InvalidInput."""
        prefix = self._template.query_prefix if is_query else ""
        texts = self._texts.limited(max_tokens)
        ids, prefix_tokens = self._read(texts, value, prefix, truncate)
        if len(ids) == 0:
            raise InvalidInput("the text is empty, and this model reads nothing of it.", param="input")
        if len(ids) > texts.max_tokens:
            ids = texts.cut(ids, prefix_tokens, truncate)
        return MixedItem(np.concatenate((ids, self._augmentation)) if is_query else ids)

    def mixed(self, value: MixedInput) -> MixedItem:
        """An input with images. Raises InvalidInput."""
        texts = [part.text for part in value.parts if isinstance(part, TextPart)]
        self._whole.check_mixed(texts)
        refuse_placeholders("".join(texts), self._template.placeholders)
        by_index = {
            index: self._image_tokens(decode(part.data, "input"))
            for index, part in enumerate(value.parts)
            if isinstance(part, ImagePart)
        }
        words = [
            part.text if isinstance(part, TextPart) else by_index[index].text
            for index, part in enumerate(value.parts)
        ]
        if not any(texts):
            words.append(WORDS_OF_TRAINING)
        text = self._template.visual_prefix + "".join(words) + self._template.visual_suffix
        ids = next(self._whole.encode([text]))
        if len(ids) > self._whole.max_tokens:
            raise too_many_tokens(len(ids), self._whole.max_tokens)
        images = list(by_index.values())
        return MixedItem(ids, tuple(each.pixels for each in images), grids_of(ids, images, self._image_token))

    def _read(
        self, texts: ModelTokenizer, value: str | tuple[int, ...], prefix: str, truncate: Truncate
    ) -> tuple[Ids, int]:
        """The text's ids with the prefix, and how many of them are the prefix (where it is needed for a cut)."""
        if not isinstance(value, str):
            if self._image_token in value:
                raise InvalidInput("the token ids hold the one that stands for an image.", param="input")
            return texts.wrap(texts.shortened_ids(value, truncate), prefix)
        refuse_placeholders(value, self._template.placeholders)
        value = texts.shortened(value, truncate, prefix)
        ids = next(texts.encode([prefix + value]))
        if len(ids) <= texts.max_tokens or truncate == "none":
            return ids, 0
        return ids, texts.prompt_tokens(prefix, value)


def text_of(value: MixedInput) -> str:
    """The words of an input without images."""
    return "\n".join(part.text for part in value.parts if isinstance(part, TextPart))
