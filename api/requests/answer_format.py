"""The format that an answer is to have: read wherever callers of OpenAI, vLLM, SGLang and llama.cpp put it."""

from typing import Annotated, Any, Literal

import msgspec

from api.requests.body import clipped
from api.requests.generation import SamplingRequest
from api.requests.parameters import Refused
from api.requests.tools import JsonObject, json_text
from jobs.answer_format import AnswerFormat, ChoiceFormat, GrammarFormat, JsonFormat, RegexFormat
from jobs.errors import InvalidInput
from jobs.format_limits import check_format

GivenSchema = str | JsonObject
"""A JSON schema, or its text."""

_WRAPPER = frozenset({"name", "description", "schema", "strict"})

NO_FORMAT = (None, "")
"""What stands for none where an empty schema asks for any JSON."""

PUT_BESIDE = Refused("OpenAI's Python client puts its fields beside the others. Put them there.")

_INSTEAD = "Send response_format."
_WHY = (
    "the format is asked for as another dialect does. Send this one's own: Ollama's format, Anthropic's "
    "output_config.format."
)
_ANOTHER = Refused(_WHY)
_ANOTHER_SCHEMA = Refused(_WHY, unless=NO_FORMAT)


class AnswerSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """schema: None for any JSON object. strict: keywords that cannot be enforced are refused, not left to chance; the
    others are kept to in either case.
    """

    name: str | None = None
    description: str | None = None
    schema: JsonObject | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """json_schema: an AnswerSchema or, as some clients have it, the schema alone. schema: in the place of either."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonObject | None = None
    schema: JsonObject | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class StructuredOutputs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """vLLM's. One of the first five, or none. The others are so in any case."""

    json: GivenSchema | None = None
    json_object: bool | None = None
    regex: str | None = None
    choice: tuple[str, ...] | None = None
    grammar: str | None = None
    disable_fallback: bool | None = None
    disable_additional_properties: bool | None = None


class FormatRequest(SamplingRequest, frozen=True, kw_only=True):
    """The fields of OpenAI's generation bodies on the answer's format, and those that other servers' clients send.

    At most one may be there. guided_*, structured_outputs: vLLM's. json_schema, grammar: llama.cpp's; regex, ebnf:
    SGLang's.
    """

    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    guided_json: GivenSchema | None = None
    guided_regex: str | None = None
    guided_choice: tuple[str, ...] | None = None
    guided_grammar: str | None = None
    json_schema: GivenSchema | None = None
    regex: str | None = None
    ebnf: str | None = None
    grammar: str | None = None
    guided_whitespace_pattern: Annotated[Any, Refused("the white space of JSON cannot be chosen.")] = None
    structural_tag: Annotated[Any, Refused(f"not read. {_INSTEAD}")] = None
    format: Annotated[Any, Refused(f"it is Ollama's. {_INSTEAD}", unless=NO_FORMAT)] = None
    output_format: Annotated[Any, Refused(f"it is Anthropic's. {_INSTEAD}")] = None
    extra_body: Annotated[Any, PUT_BESIDE] = None


class OtherFormats(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of other dialects on the answer's format: refused, for an answer without it would be of no use."""

    response_format: Annotated[Any, _ANOTHER] = None
    structured_outputs: Annotated[Any, _ANOTHER] = None
    guided_json: Annotated[Any, _ANOTHER_SCHEMA] = None
    guided_regex: Annotated[Any, _ANOTHER] = None
    guided_choice: Annotated[Any, _ANOTHER] = None
    guided_grammar: Annotated[Any, _ANOTHER] = None
    json_schema: Annotated[Any, _ANOTHER_SCHEMA] = None
    regex: Annotated[Any, _ANOTHER] = None
    ebnf: Annotated[Any, _ANOTHER] = None
    grammar: Annotated[Any, _ANOTHER] = None
    extra_body: Annotated[Any, PUT_BESIDE] = None


def answer_format(asked: FormatRequest) -> AnswerFormat | None:
    """Raises InvalidInput, naming the field, for a format that is wrong, too large, or contradicted by another."""
    given = [*_openai(asked.response_format), *_vllm(asked), *_others(asked)]
    if len(given) > 1:
        names = ", ".join(form.param for form in given)
        raise InvalidInput(
            f"An answer has one format; these contradict each other: {names}.", param=given[1].param
        )
    for form in given:
        check_format(form)
    return given[0] if given else None


def json_format(schema: GivenSchema, param: str, *, strict: bool | None = None) -> JsonFormat:
    """A schema, or its text, as a format. Raises InvalidInput for one that is nested too deeply."""
    text = schema if isinstance(schema, str) else json_text(schema, param)
    return JsonFormat(text, param, bool(strict))


def _openai(asked: ResponseFormat | None) -> list[AnswerFormat]:
    if asked is None:
        return []
    if asked.type != "json_schema" and asked.json_schema is not None:
        raise _wrong("json_schema needs the type json_schema")
    if asked.type == "text":
        if asked.schema is not None:
            raise _wrong("schema needs the type json_schema")
        return []
    if asked.schema is not None and asked.json_schema is not None:
        raise _wrong("schema and json_schema contradict each other")
    given = AnswerSchema(schema=asked.schema, strict=asked.strict)
    if asked.json_schema is not None:
        given = _unwrapped(asked.json_schema, asked.strict)
    if asked.type == "json_schema" and asked.schema is None and asked.json_schema is None:
        raise _wrong("json_schema is missing or null")
    if given.schema is None:
        return [JsonFormat()]
    return [json_format(given.schema, "response_format", strict=given.strict)]


def _unwrapped(given: JsonObject, strict: bool | None) -> AnswerSchema:
    """What json_schema holds. Whatever has keywords of a schema, and no schema in it, is one itself.

    strict: of such a one.
    """
    if "schema" not in given and given.keys() - _WRAPPER:
        return AnswerSchema(schema=given, strict=strict)
    try:
        return msgspec.convert(given, AnswerSchema)
    except msgspec.ValidationError as error:
        raise _wrong(f"json_schema: {clipped(str(error))}") from error


def _wrong(what: str) -> InvalidInput:
    return InvalidInput(f"response_format.{what}.", param="response_format")


def _vllm(asked: FormatRequest) -> list[AnswerFormat]:
    whole, param = asked.structured_outputs or StructuredOutputs(), "structured_outputs"
    found = _forms(param, whole.json, whole.regex, whole.choice, whole.grammar)
    if whole.json_object:
        found.append(JsonFormat(param=param))
    return [
        *found,
        *_forms("guided_json", schema=asked.guided_json),
        *_forms("guided_regex", regex=asked.guided_regex),
        *_forms("guided_choice", choice=asked.guided_choice),
        *_forms("guided_grammar", grammar=asked.guided_grammar),
    ]


def _others(asked: FormatRequest) -> list[AnswerFormat]:
    return [
        *_forms("json_schema", schema=asked.json_schema),
        *_forms("regex", regex=asked.regex),
        *_forms("ebnf", grammar=asked.ebnf),
        *_forms("grammar", grammar=asked.grammar),
    ]


def _forms(
    param: str,
    schema: GivenSchema | None = None,
    regex: str | None = None,
    choice: tuple[str, ...] | None = None,
    grammar: str | None = None,
) -> list[AnswerFormat]:
    """Those that are given. An empty text stands for none, as in llama.cpp."""
    found: list[AnswerFormat] = []
    if schema is not None and schema != "":
        found.append(json_format(schema, param))
    if regex:
        found.append(RegexFormat(regex, param))
    if choice is not None:
        found.append(ChoiceFormat(choice, param))
    if grammar:
        found.append(GrammarFormat(grammar, param))
    return found
