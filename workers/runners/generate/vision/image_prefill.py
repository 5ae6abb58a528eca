"""A prompt with images: encoded once, then prefilled in chunks."""

from collections.abc import Mapping, Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_vlm.generate.common import (
    _chunked_prefill_enabled,  # pyright: ignore[reportPrivateUsage]  # versions are pinned
)

from jobs.errors import InvalidInput
from workers.runners.generate.answer import Answer
from workers.runners.generate.vision.language_model import LanguageModel, RopeDeltas

ImageInputs = Mapping[str, Any]
"""What a model's own processor makes of images: NumPy arrays, lists of them, or plain values, by its own names."""

OTHER_WAYS = ("cross_attention_states", "decoder_inputs_embeds", "pos_hw")
"""Ways from image to text other than the prompt's embeddings: each decode step would need these inputs again."""


class EmbeddedPrompt:
    """A prompt's embeddings, images among them, and the state of what has been read of it.

    Belongs to the thread that owns the device.
    """

    def __init__(
        self, model: Any, language: LanguageModel, ids: Sequence[int], image_inputs: ImageInputs
    ) -> None:
        """Runs the vision tower. Raises what the model raises, or InvalidInput for a model of another build."""
        *self._caches, last = language.make_cache()
        self._deltas = last if isinstance(last, RopeDeltas) else None
        if self._deltas is None:
            self._caches.append(last)
        self._language = model.language_model
        self._ids = mx.array([ids])
        inputs = {name: _on_device(value) for name, value in image_inputs.items()}
        pixels = inputs.pop("pixel_values", None)
        _forget(self._language)
        found = model.get_input_embeddings(
            self._ids, pixels, mask=mx.ones_like(self._ids), **inputs
        ).to_dict()
        for name in OTHER_WAYS:
            if found.get(name) is not None:
                raise InvalidInput("Models of this type are not served with images.", param="model")
        self._embeddings = found.pop("inputs_embeds")
        self._options = {**inputs, **{name: value for name, value in found.items() if value is not None}}
        self._options.pop("rope_deltas", None)
        self._prompt_position_ids = self._take_position_ids(found.get("rope_deltas"))
        self.in_pieces = _chunked_prefill_enabled(
            model,
            input_ids=self._ids,
            inputs_embeds=self._embeddings,
            prompt_cache=self._caches,
            prefill_kwargs=self._options,
        )

    @property
    def layers(self) -> list[Any]:
        """The state of what has been read so far, one object per layer."""
        return self._caches if self._deltas is None else [*self._caches, self._deltas]

    def read(self, start: int, end: int) -> None:
        """These tokens, which follow those read before. Nothing is computed yet."""
        self._language(
            inputs=self._ids[:, start:end],
            inputs_embeds=self._embeddings[:, start:end],
            cache=self._caches,
            n_to_process=end - start,
            **self._options_of(start, end),
        )

    def _take_position_ids(self, delta: Any) -> Any:
        """The prompt's positions (3, 1, tokens), from where the family keeps them; its delta goes into the cache."""
        if self._deltas is None:
            return None
        position_ids = self._options.pop("position_ids", None)
        position_ids = self._language._position_ids if position_ids is None else position_ids
        delta = self._language._rope_deltas if delta is None else delta
        _forget(self._language)
        if position_ids is None:  # images whose positions are counted as tokens are
            count = self._ids.shape[1]
            position_ids, delta = mx.broadcast_to(mx.arange(count), (3, 1, count)), 0
        self._deltas.state = mx.array(0 if delta is None else delta).reshape(1).astype(mx.int32)
        return position_ids

    def _options_of(self, start: int, end: int) -> dict[str, Any]:
        """What goes with these tokens. Other values are the whole prompt's: the models cut them by their cache."""
        found = dict(self._options)
        if self._prompt_position_ids is not None:
            found["position_ids"] = self._prompt_position_ids[..., start:end]
        if not self.in_pieces and found.get("attention_mask_4d") is not None:
            found["attention_mask_4d"] = found["attention_mask_4d"][..., start:end, start:end]
        return found


class ImagePrefill:
    """The prefill of an answer's prompt. Belongs to the thread that owns the device."""

    def __init__(self, model: Any, language: LanguageModel, answer: Answer) -> None:
        """Runs the vision tower. Raises what the model raises, or InvalidInput for a model of another build."""
        self.answer = answer
        self._prompt = EmbeddedPrompt(model, language, answer.ids, lengthened(answer))
        self._done = 0

    @property
    def layers(self) -> list[Any]:
        """The state of what has been read so far, one object per layer."""
        return self._prompt.layers

    @property
    def left(self) -> int:
        """Tokens to read: all but the last, which the decode batch reads."""
        return len(self.answer.ids) - 1 - self._done

    def advance(self, tokens: int) -> int:
        """Read about so many tokens further. Returns how many it was."""
        start = self._done
        count = min(tokens, self.left) if self._prompt.in_pieces else self.left
        self._prompt.read(start, start + count)
        mx.eval([layer.state for layer in self.layers])
        self._done = start + count
        return count


def lengthened(answer: Answer) -> dict[str, Any]:
    """The processor's arrays; those with a value per token of the prompt also have one per written token."""
    written = answer.written
    return {
        name: np.pad(value, ((0, 0), (0, written)))
        if written and isinstance(value, np.ndarray) and value.shape == (1, answer.prompt_tokens)
        else value
        for name, value in (answer.image_inputs or {}).items()
    }


def _on_device(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return mx.array(value)
    if isinstance(value, list):
        return [_on_device(each) for each in value]
    return value


def _forget(language: Any) -> None:
    """What the model kept of the prompt before this one."""
    for name in ("_position_ids", "_rope_deltas"):
        if hasattr(language, name):
            setattr(language, name, None)
