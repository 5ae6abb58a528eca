"""How large the formats of answers may be: compiling one, and following it, takes a bounded time and memory."""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

import msgspec

from jobs.answer_format import AnswerFormat, ChoiceFormat, GrammarFormat, JsonFormat, RegexFormat
from jobs.errors import InvalidInput
from jobs.generate import Tool

MAX_SCHEMA_CHARACTERS = 262_144
"""Of one schema, as JSON text."""

MAX_VALUES = 10_000
"""JSON values in a schema."""

MAX_DEPTH = 100
"""JSON values in one another; llguidance reads 127."""

MAX_OPTIONAL = 400
"""Properties of one object that may be left out: each is tried for every token that begins one."""

MAX_ALTERNATIVES = 1_000
"""Of one anyOf or oneOf, and objects and arrays of one enum."""

MAX_PATTERN_CHARACTERS = 4_096
"""Of one regular expression."""

MAX_MULTIPLE, MAX_MULTIPLES = 10_000, 100_000
"""Least common multiple of all multipleOf (powers of ten are free), and their sum: remainders are states."""

MAX_MULTIPLE_DIGITS = 20
"""Of a multipleOf that is an integer; llguidance reads 19."""

MAX_TOOLS = 1_000
"""Of a request whose calls are kept to a schema: each is a rule of the grammar."""

MAX_CHOICES = 10_000
MAX_GRAMMAR_CHARACTERS, MAX_RULES = 32_768, 500


def check_format(form: AnswerFormat) -> None:
    """Raises InvalidInput, naming the field, for a format that is too large, or plainly is none."""
    match form:
        case JsonFormat(schema=str(schema)):
            read_schema(schema, form.param)
        case RegexFormat():
            _check_length(len(form.pattern), MAX_PATTERN_CHARACTERS, "the pattern", form.param)
        case ChoiceFormat():
            if not form.choices or not all(form.choices):
                raise InvalidInput(
                    f"{form.param} needs one text or more, none of them empty.", param=form.param
                )
            if len(form.choices) > MAX_CHOICES:
                count = len(form.choices)
                raise InvalidInput(
                    f"{form.param} has {count} texts; at most {MAX_CHOICES} are allowed.", param=form.param
                )
            _check_length(sum(map(len, form.choices)), MAX_SCHEMA_CHARACTERS, "the choice", form.param)
        case GrammarFormat():
            _check_length(len(form.grammar), MAX_GRAMMAR_CHARACTERS, "the grammar", form.param)
            if form.grammar.count("::=") > MAX_RULES:
                raise InvalidInput(f"the grammar has more than {MAX_RULES} rules.", param=form.param)
            if "%json" in form.grammar:
                raise InvalidInput("the grammar has %json: send the JSON schema by itself.", param=form.param)
        case _:
            pass


def check_tools(tools: Sequence[Tool], *, must_call: bool) -> None:
    """Tools of which one may be called, or, if must_call, has to be. Raises InvalidInput, naming tools.

    The schemas that the call is kept to, those of strict tools or of all that have to be called, count as one. They are
    counted and measured before any is parsed, so that a large request is refused at once.
    """
    kept_to = [tool for tool in tools if must_call or tool.strict]
    if not kept_to:
        return
    if len(tools) > MAX_TOOLS:
        raise InvalidInput(
            f"There are {len(tools)} tools; at most {MAX_TOOLS} are allowed where calls are kept to a schema.",
            param="tools",
        )
    what = "the schema of all tools together"
    _check_length(sum(len(tool.parameters) for tool in kept_to), MAX_SCHEMA_CHARACTERS, what, "tools")
    schemas = [read_schema(tool.parameters, "tools", f"the schema of {tool.name}") for tool in kept_to]
    _check_size(schemas, "tools", what)


def read_schema(text: str, param: str, what: str = "the schema") -> dict[str, Any]:
    """A JSON schema that is no larger than it may be. what: how messages call it. Raises InvalidInput."""
    _check_length(len(text), MAX_SCHEMA_CHARACTERS, what, param)
    try:
        schema = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidInput(f"{what} is not a JSON schema: {error}.", param=param) from error
    if not isinstance(schema, dict):
        raise InvalidInput(f"{what} is not a JSON schema: it must be a JSON object.", param=param)
    _check_size(schema, param, what)
    return cast(dict[str, Any], schema)


def _check_size(schema: Any, param: str, what: str) -> None:
    try:
        _check_values(schema)
    except ValueError as error:
        raise InvalidInput(f"{what} is too complex: {error}.", param=param) from error


def _check_length(length: int, most: int, what: str, param: str) -> None:
    if length > most:
        raise InvalidInput(
            f"{what} is too complex: it has {length} characters; at most {most} are allowed.", param=param
        )


def _check_values(schema: Any) -> None:
    waiting: list[tuple[Any, int]] = [(schema, 1)]
    count, multiple, multiples = 0, 1, 0
    while waiting:
        value, depth = waiting.pop()
        node = _mapping(value)
        count += 1
        if count + len(waiting) > MAX_VALUES:
            raise ValueError(f"it has more than {MAX_VALUES} values")
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
        _check_object(node)
        coefficient = _coefficient(node.get("multipleOf"))
        multiple, multiples = math.lcm(multiple, coefficient), multiples + coefficient
        if multiple > MAX_MULTIPLE or multiples > MAX_MULTIPLES:
            raise ValueError(f"its multipleOf together have more than {MAX_MULTIPLE} remainders")
        waiting += [(each, depth + 1) for each in (*node.values(), *_list(value))]


def _check_object(node: Mapping[str, Any]) -> None:
    properties, required = _mapping(node.get("properties")), _list(node.get("required"))
    if len(properties) > MAX_OPTIONAL:
        optional = len(properties.keys() - {name for name in required if isinstance(name, str)})
        if optional > MAX_OPTIONAL:
            raise ValueError(
                f"an object has {optional} properties that may be left out; at most {MAX_OPTIONAL} are allowed, "
                "so make them required"
            )
    for keyword in ("anyOf", "oneOf", "enum"):
        alternatives = sum(isinstance(each, dict | list) for each in _list(node.get(keyword)))
        if alternatives > MAX_ALTERNATIVES:
            raise ValueError(
                f"{keyword} has {alternatives} alternatives; at most {MAX_ALTERNATIVES} are allowed"
            )
    for pattern in (node.get("pattern"), *_mapping(node.get("patternProperties"))):
        if isinstance(pattern, str) and len(pattern) > MAX_PATTERN_CHARACTERS:
            raise ValueError(f"a pattern has more than {MAX_PATTERN_CHARACTERS} characters")


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], value) if isinstance(value, dict) else {}


def _list(value: Any) -> Sequence[Any]:
    return cast(Sequence[Any], value) if isinstance(value, list) else ()


def _coefficient(value: Any) -> int:
    """The digits of a multipleOf, without the zeros at their end: of 250 and of 0.25 it is 25.

    Raises ValueError for an integer that is too large: it may be larger than any float, or than Python prints.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not value:
        return 1
    if isinstance(value, int) and abs(value) >= 10**MAX_MULTIPLE_DIGITS:
        raise ValueError(f"a multipleOf has more than {MAX_MULTIPLE_DIGITS} digits")
    if not math.isfinite(value):
        return 1
    digits = "".join(map(str, Decimal(repr(value)).as_tuple().digits)).rstrip("0")
    return int(digits[:20])
