"""Grammars of constrained answers: JSON by a schema, and calls of a request's tools."""

import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llguidance import LLMatcher, LLParserLimits, LLTokenizer
from tokenizers import Tokenizer

from jobs.errors import InvalidInput
from jobs.generation import JsonFormat, Tool
from workers.runners.generate.constraint import JsonConstraint

# A line break with its indent, or one space. Unbounded whitespace is where small models get lost until max_tokens.
WHITESPACE = r"\r?\n[ \t]{0,64}| "
UNUSABLE = "this model's answers cannot be held to a schema"
# Verbose errors quote the answer and the schema.
LIMITS = LLParserLimits(verbose_errors=False)


@dataclass(frozen=True, slots=True)
class CallText:
    """How a model writes a call whose arguments are JSON: begin, name, middle, arguments, end.

    between: what parts two calls. Tokens of the tokenizer's own (<tool_call>) may occur in all of them.
    """

    begin: str
    middle: str
    end: str
    between: str = ""


# Hermes, Qwen2.5, Qwen3: what mlx-lm's parser json_tools reads.
JSON_TOOLS = CallText('<tool_call>\n{"name": "', '", "arguments": ', "}\n</tool_call>", "\n")


class Grammars:
    """Makes the constraints of one model's answers. Thread-safe; the first one takes a second for a large vocabulary.

    tokenizer: a tokenizers.Tokenizer, or transformers' fast tokenizer around one. eos: ids that end an answer.
    """

    def __init__(self, tokenizer: Any, eos: Sequence[int]) -> None:
        self._source = tokenizer
        self._eos = tuple(eos)
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    def json(
        self, form: JsonFormat, *, after: Sequence[int] | None = None, generated: Sequence[int] = ()
    ) -> JsonConstraint:
        """The whole answer is JSON; `after` and `generated` as in JsonConstraint.

        Raises InvalidInput (response_format) for a schema that is wrong, or has keywords that cannot be enforced.
        """
        param = "response_format"
        schema = _schema('{"type": "object"}' if form.schema is None else form.schema, param, "the schema")
        return self._constraint(f"start: %json {schema}", param, after, generated)

    def tool_calls(
        self,
        tools: Sequence[Tool],
        text: CallText,
        *,
        name: str | None = None,
        parallel: bool = True,
        after: Sequence[int] | None = None,
        generated: Sequence[int] = (),
    ) -> JsonConstraint:
        """The whole answer is a call of one of the tools (of the one named), or, if parallel, one call or more.

        Raises InvalidInput: tool_choice where there is no such tool, tools for a schema as in `json`.
        """
        chosen = [tool for tool in tools if name is None or tool.name == name]
        if not chosen:
            known = ", ".join(tool.name for tool in tools) or "none"
            wanted = "a tool is to be called" if name is None else f"no tool is called {name!r}"
            raise InvalidInput(f"{wanted}; the request's tools: {known}.", param="tool_choice")
        added = self._load().added
        rules = [f"call_{i}: {_call(tool, text, added)}" for i, tool in enumerate(chosen)]
        more = f"({_literal(text.between, added)} call)*" if parallel else ""
        any_call = " | ".join(f"call_{i}" for i in range(len(chosen)))
        lark = "\n".join((f"start: call {more}", f"call: {any_call}", *rules))
        return self._constraint(lark, "tools", after, generated)

    def _constraint(
        self, lark: str, param: str, after: Sequence[int] | None, generated: Sequence[int]
    ) -> JsonConstraint:
        grammar = LLMatcher.grammar_from_lark(lark)
        matcher = LLMatcher(self._load().tokenizer, grammar, log_level=0, limits=LIMITS)
        if matcher.is_error():
            raise InvalidInput(f"the answer cannot be held to it: {matcher.get_error()}", param=param)
        return JsonConstraint(matcher, self._load().eos, param=param, after=after, generated=generated)

    def _load(self) -> "_Loaded":
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(self._source, self._eos)
            return self._loaded


@dataclass(frozen=True, slots=True)
class _Loaded:
    """llguidance's own form of a tokenizer; ids of its added tokens by their text; ids that end an answer."""

    tokenizer: LLTokenizer
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
        return _Loaded(LLTokenizer(source.to_str(), eos_token=list(known)), added, known)
    except ValueError as error:
        raise InvalidInput(f"{UNUSABLE}: {error}", param="model") from error


def _schema(text: str, param: str, what: str, **defaults: str) -> str:
    """A JSON schema with our own options of llguidance in it, after a check that it can be enforced.

    defaults: keywords that it need not have. what: how messages call it. Raises InvalidInput.
    """
    try:
        schema = json.loads(text)
        if not isinstance(schema, dict):
            raise ValueError("it must be a JSON object")
        own = {"whitespace_pattern": WHITESPACE, "lenient": False}
        checked = json.dumps({**defaults, **schema, "x-guidance": own})
        failed, messages = LLMatcher.validate_grammar_with_warnings(
            LLMatcher.grammar_from_json_schema(checked), limits=LIMITS
        )
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{what} is not a JSON schema: {error}", param=param) from error
    if failed:
        raise InvalidInput(f"{what} cannot be enforced: {messages[0]}", param=param)
    return checked


def _call(tool: Tool, text: CallText, added: dict[str, int]) -> str:
    """The Lark expression of one call."""
    schema = _schema(tool.parameters, "tools", f"the schema of {tool.name}", type="object")
    begin = _literal(text.begin + json.dumps(tool.name, ensure_ascii=False)[1:-1] + text.middle, added)
    return f"{begin} %json {schema} {_literal(text.end, added)}"


def _literal(text: str, added: dict[str, int]) -> str:
    """Text as Lark: tokens of the tokenizer's own by their id, as llguidance takes them for special ones."""
    names = sorted(filter(None, added), key=len, reverse=True)
    parts = re.split(f"({'|'.join(map(re.escape, names))})", text) if names else [text]
    return " ".join(
        f"<[{added[part]}]>" if part in added else json.dumps(part, ensure_ascii=False)
        for part in parts
        if part
    )
