"""How a model's answers are read, and what holds them to a format: by its markers, and by what a job asks for."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from mlx_lm.tokenizer_utils import TokenizerWrapper
from tokenizers import Tokenizer

from jobs.answer_format import JsonFormat
from jobs.errors import InvalidInput
from jobs.generate import Chat, GenerateJob, Prompt
from workers.runners.generate.fill_in import fill_in_ends
from workers.runners.generate.output.segments import (
    NORMAL,
    REASONING,
    OutputSegments,
    initial_kind,
    split_stops,
    transitions_of,
)
from workers.runners.generate.output.tool_calls import CallReader
from workers.runners.generate.output.transcript import OutputFormat
from workers.runners.generate.prompts import prompt_text, tool_schemas
from workers.runners.generate.structured_output.constraint import GrammarConstraint
from workers.runners.generate.structured_output.grammar import Grammars
from workers.runners.generate.structured_output.lark import JSON_TOOLS

_RULES = {"ignore_ends": "ignore_eos", "min_tokens": "min_tokens", "allowed_ids": "allowed_token_ids"}
"""Fields of Sampling that rule out tokens, and what callers call them."""


class AnswerRules:
    """Of one model. Any thread may use it, once its end tokens are known."""

    def __init__(self, tokenizer: TokenizerWrapper, text_tokenizer: Tokenizer) -> None:
        """text_tokenizer: the same tokenizer, without what transformers puts around it."""
        self._tokenizer = tokenizer
        self._text_tokenizer = text_tokenizer
        self._specials = _specials(text_tokenizer)
        self._grammars = Grammars(text_tokenizer, sorted(tokenizer.eos_token_ids))

    def load(self) -> None:
        """Read the tokenizer for grammars, so that no request has to."""
        self._grammars.load()

    def output_format(self, job: GenerateJob, ids: Sequence[int]) -> OutputFormat:
        """How the answers to a job are read. ids: of its prompt."""
        chat = job.prompt if isinstance(job.prompt, Chat) else None
        tools = chat is not None and bool(chat.tools) and chat.tool_choice != "none"
        transitions = transitions_of(self._tokenizer, reasoning=chat is not None, tools=tools)
        initial = self._initial_kind(chat, ids) if chat is not None else NORMAL
        fills_in = isinstance(job.prompt, Prompt) and job.prompt.suffix is not None
        stop = (*job.stop, *fill_in_ends(self._text_tokenizer)) if fills_in else job.stop
        named, others = split_stops(stop, transitions, self._specials.values())
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

    def constraint(self, job: GenerateJob, prompt: Sequence[int]) -> GrammarConstraint | None:
        """What holds the answer to a format, to calling a tool, or to a strict tool's schema. Raises InvalidInput."""
        found = self._constraint(job, prompt)
        ruled = next((name for field, name in _RULES.items() if getattr(job.sampling, field)), None)
        if found is not None and ruled is not None:
            raise InvalidInput(
                f"{ruled}: an answer that is held to a format or to a tool's schema has the tokens and the end that "
                "this allows. Leave one of them out.",
                param=ruled,
            )
        return found

    def _constraint(self, job: GenerateJob, prompt: Sequence[int]) -> GrammarConstraint | None:
        chat = job.prompt if isinstance(job.prompt, Chat) else None
        tools = chat.tools if chat is not None and chat.tool_choice != "none" else ()
        thinks = chat is not None and self._initial_kind(chat, prompt) == REASONING
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
        if chat is not None and isinstance(job.format, JsonFormat) and tools and enforceable:
            return self._grammars.answer_or_calls(
                job.format,
                tools,
                JSON_TOOLS,
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

    def _initial_kind(self, chat: Chat, ids: Sequence[int]) -> str:
        return initial_kind(self._tokenizer, ids, goes_on=chat.continue_final)


def _tool_parser(parse: Any, schemas: Iterable[Any]) -> Callable[[str], Any]:
    return lambda text: parse(text, list(schemas))


def _specials(tokenizer: Tokenizer) -> dict[int, str]:
    """The texts of its special tokens, by their ids."""
    added = tokenizer.get_added_tokens_decoder()
    return {token: each.content for token, each in added.items() if each.special}
