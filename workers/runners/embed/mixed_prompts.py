"""Texts and images as Qwen3-VL-Embedding reads them: a user's turn, after a system's turn with the instruction.

The words are the published code's (https://github.com/QwenLM/Qwen3-VL-Embedding, src/models/qwen3_vl_embedding.py),
which puts them into Qwen3-VL's chat template and asks for an answer. The vector is made of the last token's state.
"""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import Truncate
from jobs.errors import InvalidInput
from workers.runners.tokens.tokenizer import Ids, ModelTokenizer, too_many_tokens
from workers.runners.vision.image_tokens import (
    QWEN_PLACEHOLDERS,
    ImageTokens,
    grids_of,
    qwen_image_tokens,
    refuse_placeholders,
)
from workers.runners.vision.images import decode
from workers.runners.vision.mixed_input import MixedItem
from workers.runners.vision.patches import Patching

INSTRUCTION = "Represent the user's input."
EMPTY = "NULL"
"""What the model was trained to read where there is nothing."""
TAIL = "<|im_end|>\n<|im_start|>assistant\n"


class EmbedPrompts:
    """Any thread may use it: nothing runs on the device."""

    def __init__(
        self, tokenizer: Path, patching: Patching, *, max_tokens: int, vocab_size: int, image_token: int
    ) -> None:
        """tokenizer: tokenizer.json. Raises InvalidInput."""
        self._tokenizer = ModelTokenizer(tokenizer, max_tokens, vocab_size)
        if self._tokenizer.token_id(QWEN_PLACEHOLDERS[0]) != image_token:
            raise InvalidInput(
                f"{tokenizer} knows no {QWEN_PLACEHOLDERS[0]}, or by another id.", param="model"
            )
        self._placeholder_ids = [
            token
            for placeholder in QWEN_PLACEHOLDERS
            if (token := self._tokenizer.token_id(placeholder)) is not None
        ]
        behind = len(self._tokenizer.prefix), len(self._tokenizer.suffix)
        whole = next(self._tokenizer.encode([TAIL]))
        self._tail = whole[behind[0] : len(whole) - behind[1]]
        self._patching = patching
        self._image_token = image_token

    @property
    def text_tokenizer(self) -> Tokenizer:
        return self._tokenizer.backend

    def text(
        self, value: str | tuple[int, ...], system: str, truncate: Truncate, max_tokens: int | None = None
    ) -> MixedItem:
        """system: the words of the system's turn. max_tokens: as in EmbedJob. Raises InvalidInput."""
        tokenizer = self._tokenizer.limited(max_tokens)
        head = _head(system)
        if isinstance(value, str):
            refuse_placeholders(value, QWEN_PLACEHOLDERS)
            value = tokenizer.shortened(value or EMPTY, truncate, head)
            ids, before = next(self._tokenizer.encode([head + value + TAIL])), None
        else:
            self._check_ids(value)
            ids, before = self._wrapped(tokenizer.shortened_ids(value, truncate), head)
        if len(ids) > tokenizer.max_tokens:
            if before is None:
                before = self._tokenizer.prompt_tokens(head, str(value)) if truncate != "none" else 0
            ids = tokenizer.cut(ids, before, truncate, tail_tokens=len(self._tail))
        return MixedItem(ids)

    def mixed(self, value: MixedInput, system: str) -> MixedItem:
        """Images and texts in their order, with nothing between them. system: the words of the system's turn. Raises
        InvalidInput.
        """
        texts = [part.text for part in value.parts if isinstance(part, TextPart)]
        self._tokenizer.check_mixed(texts)
        refuse_placeholders("".join(texts), QWEN_PLACEHOLDERS)
        images: list[ImageTokens] = []
        content = ""
        for part in value.parts:
            if isinstance(part, TextPart):
                content += part.text
            elif isinstance(part, ImagePart):
                images.append(qwen_image_tokens(decode(part.data, "input"), self._patching))
                content += images[-1].text
        ids = next(self._tokenizer.encode([_head(system) + content + TAIL]))
        if len(ids) > self._tokenizer.max_tokens:
            raise too_many_tokens(len(ids), self._tokenizer.max_tokens)
        return MixedItem(ids, tuple(each.pixels for each in images), grids_of(ids, images, self._image_token))

    def _check_ids(self, value: Sequence[int]) -> None:
        """Raises InvalidInput."""
        if not value:
            raise InvalidInput("the list of token ids is empty.", param="input")
        if any(placeholder in value for placeholder in self._placeholder_ids):
            raise InvalidInput("the token ids hold the one that stands for an image.", param="input")

    def _wrapped(self, value: Sequence[int], head: str) -> tuple[Ids, int]:
        """A caller's token ids in their turn, and how many tokens are before them."""
        ids, before = self._tokenizer.wrap(value, head)
        end = len(ids) - len(self._tokenizer.suffix)
        return np.concatenate((ids[:end], self._tail, ids[end:])), before


def system_words(instruction: str | None) -> str:
    """An instruction as the model was trained with: a sentence that ends like one. Raises InvalidInput."""
    sentence = (instruction or "").strip()
    if found := [placeholder for placeholder in QWEN_PLACEHOLDERS if placeholder in sentence]:
        raise InvalidInput(
            f"The instruction holds {found[0]}, which stands for an image to this model.", param="instruction"
        )
    if not sentence:
        return INSTRUCTION
    return sentence if unicodedata.category(sentence[-1]).startswith("P") else f"{sentence}."


def _head(system: str) -> str:
    return f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n"
