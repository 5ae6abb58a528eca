"""Continuous batching of vision models: images are read one prompt at a time, answers are written together.

mlx-vlm's own BatchGenerator is not used: it has one sampler for all rows (its server takes the first request's), keeps
no full log-probabilities, starts short prompts before those that came earlier, and gives back no state of an ended
answer. So prompts with images are read here, into a cache, and then join the text decoder's batch with their last
token to read. Prompts without any take the text decoder's own way, with its prefix cache.

Families whose positions have three axes (M-RoPE) are given each row's positions in each step. Only MROPE_TYPES are
known to take them; others that keep position state on the model are refused.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mlx_lm.models.cache import can_trim_prompt_cache

from jobs.errors import InvalidInput
from workers.families import MROPE_TYPES
from workers.runners.generate.answer import Answer
from workers.runners.generate.contract import NewToken
from workers.runners.generate.decoding.decoder import (
    MAX_PREFILL_TOKENS,
    MIN_PREFILL_TOKENS,
    SamplerAndProcessors,
    TextDecoder,
)
from workers.runners.generate.vision.image_prefill import ImagePrefill
from workers.runners.generate.vision.language_model import (
    LanguageModel,
    MropeLanguageModel,
    PlainLanguageModel,
)
from workers.scheduling.cost_model import CostModel


class VisionDecoder:
    """The answers that one vision model writes at the same time. Belongs to the thread that owns the device."""

    def __init__(
        self, model: Any, end_ids: Iterable[int], sampler_and_processors: Callable[[Answer], SamplerAndProcessors], *,
        slots: int, prefix_cache_bytes: int,
    ) -> None:  # fmt: skip
        """Raises InvalidInput for a model whose rows cannot be told apart in a batch."""
        self._model = model
        self._language = language_model_of(model)
        language: Any = self._language
        self._batch = TextDecoder(
            language,
            end_ids,
            sampler_and_processors,
            slots=slots,
            prefix_cache_bytes=prefix_cache_bytes,
            # Where a layer's state is recurrent, mlx-vlm's models let the padding of a shorter prompt into it.
            pads_prompts=can_trim_prompt_cache(self._language.make_cache()),
        )
        self._waiting: dict[int, Answer] = {}
        self._prefill: tuple[int, ImagePrefill] | None = None
        self._joined: dict[int, int] = {}
        self._uids = 0
        self._cost = CostModel()

    def __len__(self) -> int:
        """Answers inserted and not ended."""
        return len(self._waiting) + len(self._joined)

    def insert(self, answer: Answer) -> int:
        """Begin an answer; its first token comes when its prompt has been computed. Returns its uid."""
        self._uids += 1
        if answer.image_inputs is None:
            self._joined[self._batch.insert(answer)] = self._uids
        else:
            self._waiting[self._uids] = answer
        return self._uids

    def remove(self, uids: Sequence[int]) -> None:
        """End answers early; unknown uids (they ended by themselves) are left alone."""
        gone = set(uids)
        inner = [of_batch for of_batch, uid in self._joined.items() if uid in gone]
        self._batch.remove(inner)
        for of_batch in inner:
            del self._joined[of_batch]
        for uid in gone & self._waiting.keys():
            del self._waiting[uid]
        if self._prefill and self._prefill[0] in gone:
            self._prefill = None

    def step(self, seconds: float) -> list[NewToken]:
        """One token for each running answer, and as much of the waiting prompts as is likely to fit into the time.

        A prompt's images are encoded in one go, however long that takes. Whatever the model, a sampler or a
        logits processor raises, is raised; `restart` then brings the decoder into a sound state.
        """
        started = time.perf_counter()
        tokens = self._batch.step(seconds) if len(self._batch) else []
        found = [token._replace(uid=self._uid_of(token)) for token in tokens]
        if self._waiting:
            self._read(seconds - (time.perf_counter() - started))
        return found

    def restart(self) -> None:
        """Forget all answers."""
        self._batch.restart()
        self._waiting.clear()
        self._joined.clear()
        self._prefill = None

    def _uid_of(self, token: NewToken) -> int:
        return self._joined.pop(token.uid) if token.finish is not None else self._joined[token.uid]

    def _read(self, seconds: float) -> None:
        """Go on with the oldest prompt that has images; join the batch when it is done."""
        if self._prefill is None:
            uid, answer = next(iter(self._waiting.items()))
            self._prefill = uid, ImagePrefill(self._model, self._language, answer)
        uid, prefill = self._prefill
        if prefill.left:
            started = time.perf_counter()
            count = prefill.advance(self._piece(seconds))
            self._cost.observe(count, time.perf_counter() - started)
        if not prefill.left:
            self._joined[self._batch.join(prefill.answer, prefill.layers)] = uid
            del self._waiting[uid]
            self._prefill = None

    def _piece(self, seconds: float) -> int:
        if not len(self._batch):
            return MAX_PREFILL_TOKENS
        return min(MAX_PREFILL_TOKENS, max(MIN_PREFILL_TOKENS, self._cost.tokens_within(seconds)))


def language_model_of(model: Any) -> LanguageModel:
    """How to call the language part for a batch. Raises InvalidInput where that is not known to be right."""
    model_type = str(getattr(model.config, "model_type", ""))
    language = getattr(model, "language_model", None)
    if language is None or not hasattr(model, "get_input_embeddings"):
        raise InvalidInput(f"Models of type {model_type!r} write no text.", param="model")
    if not hasattr(language, "_rope_deltas") and not hasattr(language, "_position_ids"):
        return PlainLanguageModel(language)
    if model_type not in MROPE_TYPES:
        raise InvalidInput(
            f"Models of type {model_type!r} keep the positions of one answer, and how to keep several apart is "
            f"not known. Served are {', '.join(sorted(MROPE_TYPES))}, and those without such state.",
            param="model",
        )
    return MropeLanguageModel(language)
