"""Formats that an answer may be held to."""

import msgspec


class JsonFormat(msgspec.Struct, frozen=True, tag="json"):
    """The answer is JSON."""

    schema: str | None = None
    """The JSON schema that it fulfils, as text. None: any object."""
    param: str = "response_format"
    """The request's field that it came in, named in errors; so it is in the other formats."""
    strict: bool = False
    """Keywords that cannot be enforced are refused; otherwise they are notes."""


class RegexFormat(msgspec.Struct, frozen=True, tag="regex"):
    """The whole answer matches a regular expression, without look-around and back-references."""

    pattern: str
    param: str = "response_format"


class ChoiceFormat(msgspec.Struct, frozen=True, tag="choice"):
    """The answer is one of the texts."""

    choices: tuple[str, ...]
    param: str = "response_format"


class GrammarFormat(msgspec.Struct, frozen=True, tag="grammar"):
    """The answer follows a grammar in llguidance's Lark syntax (its first rule is `start`) or in llama.cpp's GBNF
    (`root ::= …`).
    """

    grammar: str
    param: str = "response_format"


AnswerFormat = JsonFormat | RegexFormat | ChoiceFormat | GrammarFormat
