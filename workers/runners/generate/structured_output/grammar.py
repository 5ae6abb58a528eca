"""Grammars of constrained answers: JSON by a schema, other formats, and calls of a request's tools."""

import dataclasses
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from llguidance import LLMatcher, LLParserLimits, LLTokenizer
from msgspec.structs import replace
from tokenizers import Tokenizer

from jobs.answer_format import AnswerFormat, JsonFormat, RegexFormat
from jobs.errors import InvalidInput
from jobs.format_limits import check_format, check_tools
from jobs.generate import Tool
from workers.runners.generate.structured_output.constraint import (
    FreeText,
    GrammarConstraint,
    reason_of,
    too_complex,
)
from workers.runners.generate.structured_output.json_runs import JsonTokens, json_tokens
from workers.runners.generate.structured_output.lark import (
    ANY_OBJECT,
    CallText,
    call_beginning,
    calls_lark,
    lark_of,
    schema_of,
)

log = logging.getLogger(__name__)

UNUSABLE = "this model's answers cannot be held to a schema"

# A tenth of llguidance's own: what reaches them has taken 0.2 s, and what people write stays far below.
# Verbose errors quote the answer and the schema.
LIMITS = LLParserLimits(
    initial_lexer_fuel=300_000,
    step_lexer_fuel=20_000,
    step_max_items=20_000,
    max_grammar_size=100_000,
    verbose_errors=False,
)

KEPT, USES = 16, 16
"""Compiled grammars that are kept, and how many answers may use one. They share the states that its lexer has computed,
which is fast; but the memory for those states has one limit for all of them.
"""

BEGINNINGS = ("", '{"', '["', '"')
"""How JSON may begin. A grammar that is too complex mostly fails there."""


class Grammars:
    """Makes the constraints of one model's answers. Thread-safe.

    Compiling leaves Python's other threads running, and ends within about a second whatever the caller wrote. The last
    grammars are kept. Call `load` before: llguidance reads the tokenizer, a second or more for 150,000 tokens, with
    Python's lock held.

    tokenizer: a tokenizers.Tokenizer, or transformers' fast tokenizer around one. eos: ids that end an answer.
    """

    def __init__(self, tokenizer: Any, eos: Sequence[int]) -> None:
        self._source = tokenizer
        self._eos = tuple(eos)
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None
        self._kept: OrderedDict[str, tuple[LLMatcher, int]] = OrderedDict()  # and answers it may still have

    def load(self) -> None:
        """Read the tokenizer, so that no request has to. One that is not understood is refused with the requests."""
        try:
            self._load()
        except InvalidInput as error:
            log.info("answers cannot be constrained", extra={"reason": error.message})
        except Exception:  # the model can do without
            log.exception("answers cannot be constrained")

    def answer(
        self,
        form: AnswerFormat,
        *,
        after: Sequence[int] | None = None,
        generated: Sequence[int] = (),
        answers: int = 1,
    ) -> GrammarConstraint:
        """The whole answer has the format; `after` and `generated` as in GrammarConstraint.

        answers: how many will be restarted from it; here and in the other methods.
        Raises InvalidInput, naming the field, for a format that is wrong or too complex, or is strict and has keywords
        that cannot be enforced.
        """
        check_format(form)
        if isinstance(form, JsonFormat):
            grammar = LLMatcher.grammar_from_json_schema(_schema_of(form))
        elif isinstance(form, RegexFormat):
            grammar = LLMatcher.grammar_from_regex(form.pattern)
        else:
            grammar = LLMatcher.grammar_from_lark(lark_of(form))
        matcher = self._compiled(grammar, answers)
        if matcher.is_error():
            raise too_complex(matcher, form.param)
        return self._constraint(matcher, form.param, after, generated, is_json=isinstance(form, JsonFormat))

    def tool_calls(
        self,
        tools: Sequence[Tool],
        text: CallText,
        *,
        name: str | None = None,
        parallel: bool = True,
        after: Sequence[int] | None = None,
        generated: Sequence[int] = (),
        answers: int = 1,
    ) -> GrammarConstraint:
        """The whole answer is a call of one of the tools (of the one named), or, if parallel, one call or more.

        Raises InvalidInput: tool_choice where there is no such tool, tools for a schema as in `answer`.
        """
        chosen = [tool for tool in tools if name is None or tool.name == name]
        if not chosen:
            known = ", ".join(tool.name for tool in tools) or "none"
            wanted = "a tool is to be called" if name is None else f"no tool is called {name!r}"
            raise InvalidInput(f"{wanted}; the request's tools: {known}.", param="tool_choice")
        check_tools(chosen, must_call=True)
        return self._calls(chosen, text, text.begin, after, generated, answers, parallel=parallel)

    def answer_or_calls(
        self,
        form: JsonFormat,
        tools: Sequence[Tool],
        text: CallText,
        *,
        parallel: bool = True,
        after: Sequence[int] | None = None,
        generated: Sequence[int] = (),
        answers: int = 1,
    ) -> GrammarConstraint:
        """The whole answer has the format, or it is a call of one of the tools, or of several if parallel.

        The arguments are those of a tool's schema if it is strict, else any object. Raises InvalidInput as `answer` and
        `tool_calls`.
        """
        self.answer(form)  # what is wrong with the format alone is told as such
        check_tools(tools, must_call=False)
        known = _with_arguments(tools)
        return self._calls(
            known, text, text.begin, after, generated, answers, parallel=parallel, schema=_schema_of(form)
        )

    def strict_calls(
        self,
        tools: Sequence[Tool],
        text: CallText,
        *,
        thoughts: tuple[Sequence[int], Sequence[int]] = ((), ()),
        thinks: bool = False,
        generated: Sequence[int] = (),
        answers: int = 1,
    ) -> GrammarConstraint | None:
        """The answer is free. Where it calls a tool, it is one of these, with arguments of its schema if it is strict.

        thoughts: ids that begin and end them; a call that is mentioned in them is none. thinks: the answer begins in
        them. None where no single token begins a call. Raises InvalidInput as `tool_calls`.
        """
        check_tools(tools, must_call=False)
        openings = [
            (name, token) for name, token in self._load().added.items() if text.begin.startswith(name)
        ]
        if not openings:
            return None
        name, token = max(openings)
        known = _with_arguments(tools)
        first = text.begin.removeprefix(name)
        think_start, think_end = thoughts
        free = FreeText(token, tuple(think_start), tuple(think_end), thinks)
        return self._calls(known, text, first, None, generated, answers, parallel=False, free=free)

    def _calls(
        self,
        tools: Sequence[Tool],
        text: CallText,
        first: str,
        after: Sequence[int] | None,
        generated: Sequence[int],
        answers: int,
        *,
        parallel: bool,
        free: FreeText | None = None,
        schema: str | None = None,
    ) -> GrammarConstraint:
        """first: how the first call begins. schema: of what may stand there instead."""
        grammar = calls_lark(tools, text, first, self._load().added, parallel=parallel, schema=schema)
        beginnings = [call_beginning(tool, dataclasses.replace(text, begin=first)) + '{"' for tool in tools]
        beginnings += BEGINNINGS if schema is not None else ()
        matcher = self._compiled(LLMatcher.grammar_from_lark(grammar), answers, beginnings)
        if matcher.is_error():
            raise _tools_error(tools, matcher)
        return self._constraint(matcher, "tools", after, generated, is_json=True, free=free)

    def _compiled(self, grammar: str, answers: int, beginnings: Iterable[str] = BEGINNINGS) -> LLMatcher:
        """A matcher for these answers, at its grammar's start; with an error if it fails there or after a beginning."""
        tokenizer = self._load().tokenizer
        with self._lock:
            kept, left = self._kept.pop(grammar, (None, 0))
            if kept is not None and left >= answers:
                if left > answers:
                    self._kept[grammar] = (kept, left - answers)
                return kept.deep_copy()
        matcher = LLMatcher(tokenizer, grammar, log_level=0, limits=LIMITS)
        for beginning in beginnings:
            tried = matcher.deep_copy()
            tried.try_consume_tokens(tokenizer.tokenize_str(beginning, parse_special=True))
            if not tried.is_error():
                tried.compute_bitmask()
            if tried.is_error():
                return tried
        with self._lock:
            if answers < USES:
                self._kept[grammar] = (matcher.deep_copy(), USES - answers)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return matcher

    def _constraint(
        self,
        matcher: LLMatcher,
        param: str,
        after: Sequence[int] | None,
        generated: Sequence[int],
        *,
        is_json: bool,
        free: FreeText | None = None,
    ) -> GrammarConstraint:
        loaded = self._load()
        tokens = loaded.json_tokens if is_json else None
        return GrammarConstraint(
            matcher,
            loaded.eos,
            param=param,
            after=after,
            generated=generated,
            json_tokens=tokens,
            free=free,
        )

    def _load(self) -> "_Loaded":
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(self._source, self._eos)
            return self._loaded


@dataclass(frozen=True, slots=True)
class _Loaded:
    """llguidance's own form of a tokenizer; ids of its added tokens by their text; ids that end an answer."""

    tokenizer: LLTokenizer
    json_tokens: JsonTokens
    added: dict[str, int]
    eos: tuple[int, ...]


def _load(source: Any, eos: Sequence[int]) -> _Loaded:
    """Raises InvalidInput for a tokenizer that llguidance does not understand."""
    source = getattr(source, "backend_tokenizer", source)
    known = isinstance(source, Tokenizer) and tuple(i for i in eos if source.id_to_token(i) is not None)
    if not known:
        raise InvalidInput(f"{UNUSABLE}: it needs a tokenizer.json and an end token.", param="model")
    added = {token.content: i for i, token in source.get_added_tokens_decoder().items()}
    try:
        tokenizer = LLTokenizer(source.to_str(), eos_token=list(known))
    except ValueError as error:
        raise InvalidInput(f"{UNUSABLE}: {error}", param="model") from error
    tokens = json_tokens(tokenizer.vocab_size, lambda token: tokenizer.decode_bytes([token]))
    return _Loaded(tokenizer, tokens, added, known)


def _schema_of(form: JsonFormat) -> str:
    """Raises InvalidInput."""
    text = ANY_OBJECT if form.schema is None else form.schema
    return schema_of(text, form.param, "the schema", strict=form.strict)


def _with_arguments(tools: Sequence[Tool]) -> list[Tool]:
    """Tools that are called with arguments of their schema if they are strict, else with any object."""
    return [tool if tool.strict else replace(tool, parameters=ANY_OBJECT) for tool in tools]


def _tools_error(tools: Sequence[Tool], matcher: LLMatcher) -> InvalidInput:
    """Names the tool whose schema cannot be enforced, if it is one's."""
    for tool in tools:
        what = f"the schema of {tool.name}"
        schema = schema_of(tool.parameters, "tools", what, strict=tool.strict, type="object")
        grammar = LLMatcher.grammar_from_json_schema(schema)
        failed, messages = LLMatcher.validate_grammar_with_warnings(grammar, limits=LIMITS)
        if failed:
            return InvalidInput(f"{what} cannot be enforced: {reason_of(messages[0])}.", param="tools")
    return too_complex(matcher, "tools")
