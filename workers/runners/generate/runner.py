"""Chats and prompts in, answers out: a text model of mlx-lm."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from mlx import nn
from mlx_lm.tokenizer_utils import TokenizerWrapper
from mlx_lm.utils import load_adapters, load_model, load_tokenizer
from tokenizers import Tokenizer

from jobs.catalogue.details import ModelDetails
from jobs.errors import InputTooLong, InvalidInput, JobError
from jobs.generate import Chat, Choice, GenerateJob, GenerateResult, Prompt
from jobs.models import ModelInfo
from workers.runners.checkpoint.folder import read_json, written_at
from workers.runners.checkpoint.lazy_weights import read, release, size_bytes
from workers.runners.contract import succeeded
from workers.runners.generate.answer import Answer
from workers.runners.generate.answer_rules import AnswerRules
from workers.runners.generate.contract import Decoder
from workers.runners.generate.decoding.decoder import SamplerAndProcessors, TextDecoder
from workers.runners.generate.decoding.sampling import check_sampling, processors_for, sampler_for
from workers.runners.generate.fill_in import fill_in_tokens
from workers.runners.generate.output.end_tokens import end_ids, turn_end
from workers.runners.generate.output.token_logprobs import LogprobsReader
from workers.runners.generate.output.transcript import Transcript
from workers.runners.generate.prompts import (
    PromptInputs,
    message_text,
    prompt_ids,
    prompt_size,
    render,
)
from workers.runners.tokens.tokenizer import Excerpts, Ids, special_tokens_around

SAMPLE = "Whoever reads this, in 2,048 tokens or fewer: naïve façades; def f(x): return x ** 2"
"""Two tokenizers that read it alike are taken for the same."""

MAX_STREAMED_SCORES = 32_768
"""About a megabyte: an event goes through Redis at once, and each answer's first one tells all of the prompt."""


MAX_SCORES = 1 << 19
"""Tens of megabytes of a result, and about a second to write them down."""


class ModelFiles(NamedTuple):
    """Where a generator's parts are."""

    folder: Path
    adapter: Path | None = None
    """The folder of LoRA weights, as mlx_lm.lora writes them."""
    draft: Path | None = None
    """The folder of a small model that proposes tokens to this one."""


class Network(NamedTuple):
    """The model, and the draft that proposes tokens to it."""

    model: Any
    draft: Any

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        return (self.model, self.draft) if self.draft is not None else (self.model,)


class GenerateRunner:
    """A text model (workers.runners.contract.Generator)."""

    info: ModelInfo
    details = ModelDetails()
    logprobs_reader: LogprobsReader

    def __init__(self, model_id: str, files: ModelFiles, *, slots: int, prefix_cache_bytes: int) -> None:
        """Opens the Hugging Face or MLX folder; weights are read by `load`.

        slots: answers written at the same time. Raises InvalidInput, saying what is not supported.
        """
        folder = files.folder
        config = read_json(folder / "config.json")
        self._id = model_id
        self._files = files
        self._slots = slots
        self._prefix_cache_bytes = prefix_cache_bytes
        self._network: Network | None = self._open()
        self.weight_bytes = size_bytes(*self._network.modules)
        self._tokenizer = tokenizer = self._read_tokenizer(self._network.model, config)
        self._text_tokenizer = _backend(tokenizer, folder)
        if (end := turn_end(tokenizer, self._text_tokenizer)) is not None:
            tokenizer.eos_token_ids = {*tokenizer.eos_token_ids, end}
        if files.draft:
            _check_same_tokenizer(self._text_tokenizer, files.draft)
        text_config: dict[str, Any] = {**config, **config.get("text_config", {})}
        self._rules = AnswerRules(tokenizer, self._text_tokenizer)
        self.logprobs_reader = LogprobsReader(self._text_tokenizer)
        self._vocab_size = self._tokens_known(self._network.model, text_config)
        self._excerpts = Excerpts(self._text_tokenizer, self._encode)
        self._context = int(text_config.get("max_position_embeddings") or 0) or (1 << 30)
        self._decoder: Decoder | None = self._new_decoder(self._network)  # refuses what it cannot run
        self.info = ModelInfo(
            id=model_id,
            task="generate",
            created=written_at(folder),
            dimensions=0,
            max_tokens=self._context,
            abilities=self._abilities(),
        )

    @property
    def decoder(self) -> Decoder | None:
        return self._decoder

    @property
    def text_tokenizer(self) -> Tokenizer:
        return self._text_tokenizer

    def chat_ids(self, chat: Chat) -> Sequence[int]:
        """The tokens that the model reads of a chat, images included. Raises InvalidInput."""
        job = GenerateJob(model=self._id, prompt=chat, count_only=True)
        return self._framed(job, self._read(job).ids)

    def load(self) -> Iterator[None]:
        self._network = self._network or self._open()
        self._decoder = None
        yield from read(*self._network.modules)
        self._rules.load()
        self._decoder = self._new_decoder(self._network)

    def unload(self) -> None:
        self._network = self._decoder = None
        release()

    def _open(self) -> Network:
        draft = self._files.draft
        try:
            model = _open_model(self._files.folder)
            if self._files.adapter:
                model = load_adapters(model, str(self._files.adapter))
                model.eval()
            return Network(model, _open_model(draft) if draft else None)
        except (ValueError, FileNotFoundError, KeyError, AttributeError) as error:
            raise InvalidInput(f"{self._id} cannot be loaded by mlx-lm: {error}.", param="model") from error

    def _read_tokenizer(self, model: Any, config: Mapping[str, Any]) -> TokenizerWrapper:
        return load_tokenizer(self._files.folder, eos_token_ids=end_ids(self._files.folder, config))

    def _new_decoder(self, network: Network) -> Decoder:
        return TextDecoder(
            network.model,
            self._tokenizer.eos_token_ids,
            self._sampler_and_processors,
            slots=self._slots,
            prefix_cache_bytes=self._prefix_cache_bytes,
            draft=network.draft,
        )

    def _tokens_known(self, model: Any, text_config: Mapping[str, Any]) -> int:
        if "vocab_size" not in text_config:
            raise InvalidInput(f"{self._files.folder / 'config.json'} names no vocab_size.", param="model")
        return int(text_config["vocab_size"])

    def _abilities(self) -> tuple[str, ...]:
        abilities = {
            "tools": self._tokenizer.has_tool_calling,
            "reasoning": self._tokenizer.has_thinking,
            "insert": fill_in_tokens(self._text_tokenizer) is not None,
        }
        return tuple(name for name, there in abilities.items() if there)

    def prepare(self, jobs: Sequence[GenerateJob]) -> Sequence[list[Answer] | GenerateResult | JobError]:
        """As many answers as each job wants; what it wants to know, if only that; or what is wrong with it."""
        return [self._answers(job) for job in jobs]

    def assemble(
        self, job: GenerateJob, items: Sequence[Answer], outcomes: Sequence[Choice | JobError]
    ) -> GenerateResult:
        """The answers in order. Raises the first one's error, if any has one."""
        choices = succeeded(outcomes)
        scores = next((each.prompt_scores for each in items if each.prompt_scores is not None), None)
        if scores is not None:
            told = scores.describe(self.logprobs_reader, items[0].transcript.lead)
            choices = [msgspec.structs.replace(choice, prompt_logprobs=told) for choice in choices]
        if job.return_ids:
            choices = [
                msgspec.structs.replace(choice, ids=tuple(answer.transcript.tokens))
                for choice, answer in zip(choices, items, strict=True)
            ]
        return GenerateResult(
            choices=tuple(choices),
            prompt_tokens=items[0].prompt_tokens,
            cached_tokens=items[0].cached_tokens,
            prompt_s=max(answer.prompt_s for answer in items),
            generate_s=max(answer.generate_s for answer in items),
            digest=self.info.digest,
            prompt_ids=items[0].prompt_ids if job.return_ids else (),
        )

    def _answers(self, job: GenerateJob) -> list[Answer] | GenerateResult | JobError:
        try:
            self._check_length(job)
            ids, image_inputs = self._read(job)
            ids = self._framed(job, ids)
            if job.count_only:
                self._room(job, len(ids))
                return GenerateResult(choices=(), prompt_tokens=len(ids))
            check_sampling(job.sampling, self._vocab_size, self._tokenizer.eos_token_ids)
            _check_scores(job, len(ids), image_inputs)
            room = self._room(job, len(ids))
            constraint = self._rules.constraint(job, ids)
            output_format = self._rules.output_format(job, ids)
        except JobError as error:
            return error
        # The prompt's text is dropped: a long one would stay as long as the answer.
        asked = msgspec.structs.replace(job, prompt=Prompt(""))
        return [
            Answer(asked, ids, room, Transcript(output_format, choice), image_inputs, constraint)
            for choice in range(job.n)
        ]

    def _read(self, job: GenerateJob) -> PromptInputs:
        return PromptInputs(prompt_ids(self._tokenizer, job, self._vocab_size))

    def _framed(self, job: GenerateJob, ids: Sequence[int]) -> Sequence[int]:
        """With the tokenizer's own special tokens around a chat that asks for them."""
        if not (isinstance(job.prompt, Chat) and job.prompt.special_tokens):
            return ids
        before, behind = special_tokens_around(self._text_tokenizer)
        return [*before, *ids, *behind]

    def _check_length(self, job: GenerateJob) -> None:
        """Raises InputTooLong for a prompt that has certainly too many tokens, without reading all of it."""
        if prompt_size(job.prompt) <= self._context:
            return
        if isinstance(job.prompt, Prompt) and not isinstance(job.prompt.content, str):
            raise self._too_long(job, str(len(job.prompt.content)))
        if any(self._excerpts.of(text, self._context).overlong for text in self._texts_of(job.prompt)):
            raise self._too_long(job, f"at least {self._context}")

    def _encode(self, texts: Sequence[str]) -> list[Ids]:
        return [
            np.asarray(self._tokenizer.encode(text, add_special_tokens=False), np.int32) for text in texts
        ]

    def _texts_of(self, prompt: Chat | Prompt) -> Iterator[str]:
        """The whole prompt, and before it the parts that every template writes: a template that writes megabytes holds
        everybody up. Raises InvalidInput.
        """
        if isinstance(prompt, Prompt):
            yield str(prompt.content)
            yield prompt.suffix or ""
            return
        for turn in prompt.messages:
            if turn.role == "user":
                yield message_text(turn).strip()
        yield self._text_of(prompt)

    def _text_of(self, chat: Chat) -> str:
        """The chat as the model's template writes it. Raises InvalidInput."""
        return str(render(self._tokenizer, chat, message_text, tokenize=False))

    def _room(self, job: GenerateJob, prompt_tokens: int) -> int:
        """Tokens that an answer may have. Raises InputTooLong."""
        room = self._context - prompt_tokens
        if room < (0 if job.max_tokens == 0 else 1):
            raise self._too_long(job, str(prompt_tokens))
        return room if job.max_tokens is None else min(room, job.max_tokens)

    def _too_long(self, job: GenerateJob, tokens: str) -> InputTooLong:
        field = "messages" if isinstance(job.prompt, Chat) else "prompt"
        have = "messages have" if isinstance(job.prompt, Chat) else "prompt has"
        return InputTooLong(
            f"This model's maximum context length is {self._context} tokens. However, your {have} {tokens} tokens. "
            "Shorten it: nothing is cut off silently.",
            param=field,
        )

    def _sampler_and_processors(self, answer: Answer) -> SamplerAndProcessors:
        sampling = answer.job.sampling
        prompt, written = answer.ids[: answer.prompt_tokens], answer.ids[answer.prompt_tokens :]
        processors = processors_for(sampling, len(prompt), self._tokenizer.eos_token_ids)
        if answer.constraint is not None:
            processors.append(answer.constraint.restarted(written))
        return sampler_for(sampling, answer.transcript.choice, len(written)), processors


def _check_scores(job: GenerateJob, prompt_tokens: int, image_inputs: object) -> None:
    """Raises InvalidInput where the prompt's tokens cannot be scored, or not told."""
    top = job.prompt_logprobs
    if top is None:
        return
    field = "logprobs" if job.echo else "prompt_logprobs"
    if image_inputs is not None:
        raise InvalidInput(f"{field}: a prompt with images has none. Leave the images out.", param=field)
    told = prompt_tokens * (1 + top) * job.n
    if job.stream and told > MAX_STREAMED_SCORES:
        raise InvalidInput(
            f"{field}: {told} log-probabilities of the prompt are too many for an event of a stream, which has at "
            f"most {MAX_STREAMED_SCORES}. Ask without stream.",
            param=field,
        )
    if told > MAX_SCORES:
        raise InvalidInput(
            f"{field}: {told} log-probabilities of the prompt are too many for a result, which has at most "
            f"{MAX_SCORES}. Ask for fewer alternatives or answers, or send a shorter prompt.",
            param=field,
        )


def _check_same_tokenizer(own: Tokenizer, draft: Path) -> None:
    """Raises InvalidInput for a draft that reads texts in other tokens."""
    file = draft / "tokenizer.json"
    other = Tokenizer.from_file(str(file)) if file.is_file() else None
    if other is None or own.encode(SAMPLE).ids != other.encode(SAMPLE).ids:
        raise InvalidInput(
            f"The draft {draft.name} must have the same tokenizer as its model.", param="model"
        )


def _open_model(folder: Path) -> Any:
    return load_model(folder, lazy=True)[0]


def _backend(tokenizer: TokenizerWrapper, folder: Path) -> Tokenizer:
    """The tokenizer proper, without what transformers puts around it."""
    found = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(found, Tokenizer):
        raise InvalidInput(
            f"{folder.name} has no tokenizer.json; convert the model's tokenizer first.", param="model"
        )
    return found
