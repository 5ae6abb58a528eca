"""Formats and tool calls written as what llguidance reads: JSON schemas with its options, and grammars in Lark."""

import dataclasses
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from llguidance.gbnf_to_lark import any_to_lark

from jobs.answer_format import ChoiceFormat, GrammarFormat
from jobs.errors import InvalidInput
from jobs.format_limits import read_schema
from jobs.generate import Tool
from workers.runners.generate.structured_output.closed_schema import closed
from workers.runners.generate.structured_output.look_around import without_look_around

# A line break with the indent of eight levels, or one space: pretty or compact, and no more. Unbounded whitespace is
# where small models get lost until max_tokens.
WHITESPACE = r"\r?\n[ \t]{0,32}| "

ANY_OBJECT = '{"type": "object"}'


@dataclass(frozen=True, slots=True)
class CallText:
    """How a model writes a call whose arguments are JSON: begin, name, middle, arguments, end.

    Added tokens of the tokenizer (<tool_call>) may occur in all of them.
    """

    begin: str
    middle: str
    end: str
    between: str = ""
    """What separates two calls."""


# Hermes, Qwen2.5, Qwen3: what mlx-lm's parser json_tools reads.
JSON_TOOLS = CallText('<tool_call>\n{"name": "', '", "arguments": ', "}\n</tool_call>", "\n")


def schema_of(text: str, param: str, what: str, *, strict: bool, **defaults: str) -> str:
    """A JSON schema, closed and with our own options of llguidance in it, after a check that it is not too large.

    strict: what cannot be enforced is refused; otherwise it is left out. defaults: keywords that it need not have.
    what: how messages call it. Raises InvalidInput.
    """
    schema = read_schema(text, param, what)
    try:
        own = {"whitespace_pattern": WHITESPACE, "lenient": not strict}
        schema = schema if strict else without_look_around(schema)
        return json.dumps({**defaults, **closed(schema), "x-guidance": own})
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{what} is too complex: {error}.", param=param) from error


def calls_lark(
    tools: Sequence[Tool],
    text: CallText,
    first: str,
    added: dict[str, int],
    *,
    parallel: bool,
    schema: str | None = None,
) -> str:
    """A call of one of the tools; if parallel, one call or more. Raises InvalidInput.

    first: how the first call begins. added: ids of the tokenizer's added tokens, by their text. schema: of the JSON
    that may stand there instead, as `schema_of` returns it.
    """
    begun = dataclasses.replace(text, begin=first)
    any_first, any_call = (" | ".join(f"{rule}_{i}" for i in range(len(tools))) for rule in ("first", "call"))
    lines = [f"start: calls{'' if schema is None else ' | answer'}"]
    lines += [] if schema is None else [f"answer: %json {schema}"]
    lines += [
        f"calls: first {f'({_literal(text.between, added)} call)*' if parallel else ''}",
        f"first: {any_first}",
        *(f"first_{i}: {_call(each, begun, added)}" for i, each in enumerate(tools)),
    ]
    if parallel:
        lines += [
            f"call: {any_call}",
            *(f"call_{i}: {_call(each, text, added)}" for i, each in enumerate(tools)),
        ]
    return "\n".join(lines)


def lark_of(form: ChoiceFormat | GrammarFormat) -> str:
    """Raises InvalidInput for a grammar that is neither Lark nor GBNF."""
    if isinstance(form, ChoiceFormat):
        texts = (json.dumps(each, ensure_ascii=False).replace("\x7f", "\\u007f") for each in form.choices)
        return f"start: CHOICE\nCHOICE: {' | '.join(texts)}"
    if "::=" not in form.grammar:
        return form.grammar
    try:
        return any_to_lark(form.grammar)
    except Exception as error:  # the converter raises no class of its own for most
        raise InvalidInput(f"the grammar is not GBNF: {str(error)[:300]}.", param=form.param) from error


def _call(tool: Tool, text: CallText, added: dict[str, int]) -> str:
    """The Lark expression of one call."""
    what = f"the schema of {tool.name}"
    schema = schema_of(tool.parameters, "tools", what, strict=tool.strict, type="object")
    return f"{_literal(call_beginning(tool, text), added)} %json {schema} {_literal(text.end, added)}"


def call_beginning(tool: Tool, text: CallText) -> str:
    """A call up to its arguments."""
    return text.begin + json.dumps(tool.name, ensure_ascii=False)[1:-1] + text.middle


def _literal(text: str, added: dict[str, int]) -> str:
    """Text as Lark: tokens of the tokenizer's own by their id, as llguidance takes them for special ones."""
    names = sorted(filter(None, added), key=len, reverse=True)
    parts = re.split(f"({'|'.join(map(re.escape, names))})", text) if names else [text]
    return " ".join(
        f"<[{added[part]}]>" if part in added else json.dumps(part, ensure_ascii=False)
        for part in parts
        if part
    )
