"""What a vision model reads: chats and prompts, each image in the place that its author gave it."""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
from mlx_lm.tokenizer_utils import TokenizerWrapper
from PIL import Image

from jobs.content import ImagePart, TextPart
from jobs.errors import InvalidInput
from jobs.generate import Chat, GenerateJob, Message, Prompt
from workers.runners.generate.prompts import PromptInputs, prompt_ids, render
from workers.runners.vision.images import decode

Content = Callable[[Message], Any]

_PROBE = Message("user", (ImagePart(b""), TextPart("first"), ImagePart(b""), TextPart("second")))


class ContentFormat(NamedTuple):
    """How a model's chat template takes images."""

    content: Content
    """Makes of a message what the template expects as its content."""
    placeholder: str | None
    """What stands for an image in the rendered text; None where the template takes no images."""


class ImagePrompts:
    """Any thread may use it. mlx-vlm's processors return MLX arrays: most only copy what NumPy computed, a few
    (DeepSeek's) also turn and stack them, in the thread that calls.
    """

    def __init__(
        self, tokenizer: TokenizerWrapper, processor: Any, image_ids: Sequence[int], vocab_size: int
    ) -> None:
        """processor: like transformers', called with (text, images); it puts each image's tokens where its placeholder
        is. image_ids: the token ids that stand for images; a prompt must not end with one.
        """
        self._tokenizer = tokenizer
        self._processor = processor
        self._image_ids = frozenset(image_ids)
        self._vocab_size = vocab_size
        self._placeholders = _placeholders(tokenizer, processor, image_ids)
        self._format = detect_content_format(tokenizer, self._placeholders)
        self._framed = framed_placeholder(tokenizer, self._format)

    @property
    def takes_images(self) -> bool:
        return self._format.placeholder is not None

    def read(self, job: GenerateJob) -> PromptInputs:
        """The job's prompt. prompt tokens include those of the images. Raises InvalidInput."""
        if isinstance(job.prompt, Chat):
            return self._chat(job.prompt)
        if job.prompt.images:
            return self._with_images(
                self._with_placeholders(job.prompt), job.prompt.images, "images", whole=False
            )
        return PromptInputs(prompt_ids(self._tokenizer, job, self._vocab_size))

    def text_of(self, chat: Chat) -> str:
        """The chat as the model's template writes it, with a placeholder for each image. Raises InvalidInput."""
        return str(render(self._tokenizer, chat, self._format.content, tokenize=False))

    def mixed(self, parts: Sequence[str | Image.Image], param: str) -> PromptInputs:
        """Decoded images and texts in their order, outside of any chat. Raises InvalidInput, naming `param`."""
        if self._format.placeholder is None:
            raise InvalidInput("This model's chat template has no place for an image.", param=param)
        self._refuse_placeholders([part for part in parts if isinstance(part, str)], param)
        images = [part for part in parts if isinstance(part, Image.Image)]
        text = "".join(part if isinstance(part, str) else self._framed for part in parts)
        return self._processed(text, images, param, whole=False)

    def _chat(self, chat: Chat) -> PromptInputs:
        images = [
            part.data for message in chat.messages for part in message.content if isinstance(part, ImagePart)
        ]
        if images and self._format.placeholder is None:
            raise InvalidInput("This model's chat template has no place for an image.", param="messages")
        texts = [
            part.text for message in chat.messages for part in message.content if isinstance(part, TextPart)
        ]
        self._refuse_placeholders(texts, "messages")
        if images:
            text = str(render(self._tokenizer, chat, self._format.content, tokenize=False))
            return self._with_images(text, images, "messages", whole=self._tokenizer.has_chat_template)
        found = render(self._tokenizer, chat, self._format.content, tokenize=True)
        ids = self._tokenizer.encode(found) if isinstance(found, str) else found
        if not ids:
            raise InvalidInput("The prompt is empty.", param="messages")
        return PromptInputs(list(ids))

    def _refuse_placeholders(self, texts: Sequence[str], param: str) -> None:
        """A placeholder in a text would take the place of an image."""
        for placeholder in self._placeholders:
            if any(placeholder in text for text in texts):
                raise InvalidInput(
                    f"A text holds {placeholder}, which stands for an image to this model.", param=param
                )

    def _with_placeholders(self, prompt: Prompt) -> str:
        """The prompt's text with a placeholder for each image: its own ones, or else all of them before the text."""
        placeholder = self._format.placeholder or next(iter(self._placeholders), None)
        if placeholder is None or not isinstance(prompt.content, str):
            raise InvalidInput(
                "With images, the prompt must be text, and the model must have a placeholder for an image.",
                param="prompt",
            )
        return (
            prompt.content
            if placeholder in prompt.content
            else placeholder * len(prompt.images) + prompt.content
        )

    def _with_images(self, text: str, encoded: Sequence[bytes], param: str, *, whole: bool) -> PromptInputs:
        """whole: the text has its special tokens, such as that of the beginning."""
        placeholder = self._format.placeholder or self._placeholders[0]
        if text.count(placeholder) != len(encoded):
            raise InvalidInput(
                f"The prompt has {text.count(placeholder)} places for its {len(encoded)} images.", param=param
            )
        found = self._processed(text, [decode(each, param) for each in encoded], param, whole=whole)
        if found.ids[-1] in self._image_ids:
            raise InvalidInput("Text must follow the last image.", param=param)
        return found

    def _processed(self, text: str, images: list[Image.Image], param: str, *, whole: bool) -> PromptInputs:
        found = self._process(text, images, param, whole=whole)
        ids = [int(token) for token in np.asarray(found.pop("input_ids")).reshape(-1)]
        found.pop("attention_mask", None)  # of one prompt: all ones
        return PromptInputs(ids, {name: _plain(value) for name, value in found.items()})

    def _process(self, text: str, images: list[Image.Image], param: str, *, whole: bool) -> dict[str, Any]:
        call = getattr(self._processor, "process", self._processor)
        options: dict[str, Any] = {"text": [text], "images": images, "return_tensors": "np"}
        taken = inspect.signature(call).parameters
        if "add_special_tokens" in taken or any(each.kind is each.VAR_KEYWORD for each in taken.values()):
            options["add_special_tokens"] = not whole
        try:
            found = dict(call(**options))
        except Exception as error:
            # Processors are the models' makers' own code; what they do not take, they refuse in many ways.
            raise InvalidInput(f"The model cannot take these images: {error}.", param=param) from error
        if "pixel_values" not in found and "images" in found:
            found["pixel_values"] = found.pop("images")
        return found


def detect_content_format(tokenizer: TokenizerWrapper, placeholders: Sequence[str]) -> ContentFormat:
    """How the template wants a message's content, found out by rendering one: as parts, or as text with placeholders.

    A way that keeps images and texts in their order is best; some templates (LLaVA's) put a message's images first.
    """
    ways: list[tuple[str, Content]] = [(placeholder, _parts) for placeholder in placeholders]
    ways += [(placeholder, _text_with(placeholder)) for placeholder in placeholders]
    found = [
        (placeholder, content, _rendered(tokenizer, content, placeholder)) for placeholder, content in ways
    ]
    orders = ("MfirstMsecond", "MMfirstsecond")
    for order in orders:
        for placeholder, content, text in found:
            if text == order:
                return ContentFormat(content, placeholder)
    return ContentFormat(_text_with(""), None)


def framed_placeholder(tokenizer: TokenizerWrapper, content_format: ContentFormat) -> str:
    """An image's placeholder with what the template puts around it, such as Qwen's token of an image's beginning."""
    placeholder = content_format.placeholder or ""
    between = _probe_text(tokenizer, content_format.content).partition("first")[2].partition("second")[0]
    return between if placeholder and placeholder in between else placeholder


def _probe_text(tokenizer: TokenizerWrapper, content: Content) -> str:
    """Two images and two texts in the template; "" where it takes no such content."""
    try:
        text = str(render(tokenizer, Chat((_PROBE,)), content, tokenize=False))
    except InvalidInput:
        return ""
    return "" if "'type'" in text else text  # printed as Python prints a list


def _rendered(tokenizer: TokenizerWrapper, content: Content, placeholder: str) -> str:
    """What is left of two images and two texts: M for each placeholder, and the texts, in their order."""
    text = _probe_text(tokenizer, content)
    pieces = re.findall(f"{re.escape(placeholder)}|first|second", text)
    return "".join("M" if piece == placeholder else piece for piece in pieces)


def _placeholders(tokenizer: TokenizerWrapper, processor: Any, image_ids: Sequence[int]) -> list[str]:
    """What may stand for an image in a text, the likeliest first."""
    named = [getattr(processor, name, None) for name in ("boi_token", "image_token")]
    known = [tokenizer.convert_ids_to_tokens(token) for token in image_ids]
    return list(
        dict.fromkeys(
            placeholder for placeholder in [*named, *known] if isinstance(placeholder, str) and placeholder
        )
    )


def _parts(message: Message) -> list[dict[str, str]]:
    return [
        {"type": "text", "text": part.text} if isinstance(part, TextPart) else {"type": "image"}
        for part in message.content
    ]


def _text_with(placeholder: str) -> Content:
    return lambda message: "".join(
        part.text if isinstance(part, TextPart) else placeholder for part in message.content
    )


def _plain(value: Any) -> Any:
    """MLX arrays belong to the device's thread."""
    if isinstance(value, mx.array):
        return np.array(value.astype(mx.float32) if value.dtype == mx.bfloat16 else value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
