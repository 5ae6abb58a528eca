"""Chats and prompts in, answers out: a text model of mlx-lm."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from mlx import nn
from mlx_lm.tokenizer_utils import TokenizerWrapper
from mlx_lm.utils import load_adapters, load_model, load_tokenizer
from tokenizers import Tokenizer

from jobs.errors import InputTooLong, InvalidInput, JobError
from jobs.generate import Chat, Choice, GenerateJob, GenerateResult, Prompt
from jobs.models import ModelInfo
from workers.runners.checkpoint.folder import read_json, written_at
from workers.runners.checkpoint.lazy_weights import read, release, size_bytes
from workers.runners.contract import succeeded
from workers.runners.generate.answer import Answer
from workers.runners.generate.contract import Decoder
from workers.runners.generate.decoding.decoder import SamplerAndProcessors, TextDecoder
from workers.runners.generate.decoding.penalties import check_bias, processors_for
from workers.runners.generate.decoding.samplers import sampler_for
from workers.runners.generate.output.end_tokens import end_ids, turn_end
from workers.runners.generate.output.segments import (
    NORMAL,
    REASONING,
    OutputSegments,
    initial_kind,
    split_stops,
    transitions_of,
)
from workers.runners.generate.output.token_logprobs import LogprobsReader
from workers.runners.generate.output.tool_calls import CallReader
from workers.runners.generate.output.transcript import OutputFormat, Transcript
from workers.runners.generate.prompts import (
    PromptInputs,
    message_text,
    prompt_ids,
    prompt_size,
    prompt_text,
    render,
    tool_schemas,
)
from workers.runners.generate.structured_output.constraint import GrammarConstraint
from workers.runners.generate.structured_output.grammar import JSON_TOOLS, Grammars
from workers.runners.tokens.excerpts import Excerpts
from workers.runners.tokens.tokenizer import Ids

SAMPLE = "Whoever reads this, in 2,048 tokens or fewer: naïve façades; def f(x): return x ** 2"
"""Two tokenizers that read it alike are taken for the same."""


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
    logprobs_reader: LogprobsReader

    def __init__(
        self, model_id: str, files: ModelFiles, *, slots: int, prefix_cache_bytes: int
    ) -> None:  # fmt: skip
        """Opens the Hugging Face or MLX folder; weights are read by `load`.

        slots: answers written at the same time. Raises InvalidInput, saying what is not supported.
        """
        folder = files.folder
        config = read_json(folder / "config.json")
        self._id, self._files, self._slots, self._prefix_cache_bytes = (
            model_id,
            files,
            slots,
            prefix_cache_bytes,
        )
        self._network: Network | None = self._open()
        self.weight_bytes = size_bytes(*self._network.modules)
        self._tokenizer = tokenizer = self._read_tokenizer(self._network.model, config)
        self._text_tokenizer = _backend(tokenizer, folder)
        if (end := turn_end(tokenizer, self._text_tokenizer)) is not None:
            tokenizer.eos_token_ids = {*tokenizer.eos_token_ids, end}
        self._specials = _specials(self._text_tokenizer)
        if files.draft:
            _check_same_tokenizer(self._text_tokenizer, files.draft)
        text_config: dict[str, Any] = {**config, **config.get("text_config", {})}
        self._grammars = Grammars(self._text_tokenizer, sorted(tokenizer.eos_token_ids))
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

    def load(self) -> Iterator[None]:
        self._network = self._network or self._open()
        self._decoder = None
        yield from read(*self._network.modules)
        self._grammars.load()
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
        abilities = {"tools": self._tokenizer.has_tool_calling, "reasoning": self._tokenizer.has_thinking}
        return tuple(name for name, there in abilities.items() if there)

    def prepare(self, jobs: Sequence[GenerateJob]) -> Sequence[list[Answer] | GenerateResult | JobError]:
        """As many answers as each job wants; what it wants to know, if only that; or what is wrong with it."""
        return [self._answers(job) for job in jobs]

    def assemble(
        self, job: GenerateJob, items: Sequence[Answer], outcomes: Sequence[Choice | JobError]
    ) -> GenerateResult:
        """The answers in order. Raises the first one's error, if any has one."""
        return GenerateResult(
            choices=tuple(succeeded(outcomes)),
            prompt_tokens=items[0].prompt_tokens,
            cached_tokens=items[0].cached_tokens,
            prompt_s=max(answer.prompt_s for answer in items),
            generate_s=max(answer.generate_s for answer in items),
        )

    def _answers(self, job: GenerateJob) -> list[Answer] | GenerateResult | JobError:
        try:
            self._check_length(job)
            ids, image_inputs = self._read(job)
            if job.count_only:
                self._room(job, len(ids))
                return GenerateResult(choices=(), prompt_tokens=len(ids))
            check_bias(job.sampling.logit_bias, self._vocab_size)
            room = self._room(job, len(ids))
            constraint = self._constraint(job, ids)
            output_format = self._output_format(job, ids)
        except JobError as error:
            return error
        asked = msgspec.structs.replace(
            job, prompt=Prompt("")
        )  # a long text would stay as long as the answer
        return [
            Answer(asked, ids, room, Transcript(output_format, choice), image_inputs, constraint)
            for choice in range(job.n)
        ]

    def _read(self, job: GenerateJob) -> PromptInputs:
        return PromptInputs(prompt_ids(self._tokenizer, job, self._vocab_size))

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
        if room < 1:
            raise self._too_long(job, str(prompt_tokens))
        return room if job.max_tokens is None else min(room, job.max_tokens)

    def _too_long(self, job: GenerateJob, tokens: str) -> InputTooLong:
        return InputTooLong(
            f"The prompt has {tokens} tokens, and the model's context is {self._context}. "
            "Shorten it: nothing is cut off silently.",
            param="messages" if isinstance(job.prompt, Chat) else "prompt",
        )

    def _output_format(self, job: GenerateJob, ids: Sequence[int]) -> OutputFormat:
        chat = job.prompt if isinstance(job.prompt, Chat) else None
        tools = chat is not None and bool(chat.tools) and chat.tool_choice != "none"
        transitions = transitions_of(self._tokenizer, reasoning=chat is not None, tools=tools)
        initial = initial_kind(self._tokenizer, ids) if chat is not None else NORMAL
        named, others = split_stops(job.stop, transitions, self._specials.values())
        output_format = OutputFormat(
            self._text_tokenizer,
            partial(OutputSegments, transitions, initial, named),
            tuple(ids),
            lead=prompt_text(self._tokenizer, job.prompt)
            if job.echo and isinstance(job.prompt, Prompt)
            else "",
            stop=others,
            specials=self._specials if job.skip_special_tokens else {},
        )
        if chat is None or not tools:
            return output_format
        reader = CallReader(
            _tool_parser(self._tokenizer.tool_parser, tool_schemas(chat.tools)),
            [tool.name for tool in chat.tools],
            markers=(str(self._tokenizer.tool_call_start), str(self._tokenizer.tool_call_end)),
        )
        return output_format.with_tools(reader, one_call=not chat.parallel_tool_calls)

    def _sampler_and_processors(self, answer: Answer) -> SamplerAndProcessors:
        sampling = answer.job.sampling
        prompt, written = answer.ids[: answer.prompt_tokens], answer.ids[answer.prompt_tokens :]
        processors = processors_for(sampling, prompt_tokens=len(prompt))
        if answer.constraint is not None:
            processors.append(answer.constraint.restarted(written))
        return sampler_for(sampling, answer.transcript.choice, len(written)), processors

    def _constraint(self, job: GenerateJob, prompt: Sequence[int]) -> GrammarConstraint | None:
        """What holds the answer to a format, to calling a tool, or to a strict tool's schema. Raises InvalidInput."""
        chat = job.prompt if isinstance(job.prompt, Chat) else None
        tools = chat.tools if chat is not None and chat.tool_choice != "none" else ()
        thinks = chat is not None and initial_kind(self._tokenizer, prompt) == REASONING
        after = self._tokenizer.think_end_tokens if thinks else None
        enforceable = self._tokenizer.init_kwargs.get("tool_parser_type") == "json_tools"
        if chat is not None and tools and chat.tool_choice == "required":
            if not enforceable:
                raise InvalidInput(
                    "This model's way of calling tools cannot be enforced: use tool_choice auto.",
                    param="tool_choice",
                )
            return self._grammars.tool_calls(
                tools,
                JSON_TOOLS,
                name=chat.tool_name,
                parallel=chat.parallel_tool_calls,
                after=after,
                answers=job.n,
            )
        if job.format is not None:
            return self._grammars.answer(job.format, after=after, answers=job.n)
        if chat is not None and enforceable and any(tool.strict for tool in tools):
            thoughts = (self._tokenizer.think_start_tokens or (), self._tokenizer.think_end_tokens or ())
            return self._grammars.strict_calls(
                tools, JSON_TOOLS, thoughts=thoughts, thinks=thinks, answers=job.n
            )
        return None


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


def _tool_parser(parse: Any, schemas: Iterable[Any]) -> Callable[[str], Any]:
    return lambda text: parse(text, list(schemas))


def _specials(tokenizer: Tokenizer) -> dict[int, str]:
    """The texts of its special tokens, by their ids."""
    added = tokenizer.get_added_tokens_decoder()
    return {token: each.content for token, each in added.items() if each.special}


def _backend(tokenizer: TokenizerWrapper, folder: Path) -> Tokenizer:
    """The tokenizer proper, without what transformers puts around it."""
    found = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(found, Tokenizer):
        raise InvalidInput(
            f"{folder.name} has no tokenizer.json; convert the model's tokenizer first.", param="model"
        )
    return found
