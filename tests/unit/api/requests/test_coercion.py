"""Null is not said, and a whole float is an integer, in the bodies of all dialects."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from api.app import create_app
from api.requests.body import decode_body
from api.route import DirectRoute
from jobs.errors import InvalidInput
from jobs.settings import Settings
from tests.support.memory_queue import MemoryQueue
from tests.unit.api.openapi.documented_api import DOCUMENTED

Shape = type[msgspec.Struct]


def structs_in(kind: inspect.Type) -> Iterator[inspect.StructType]:
    """Those that a body of this type may hold, the body's own first."""
    found: dict[type, inspect.StructType] = {}
    waiting = [kind]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, inspect.StructType) and each.cls not in found:
            found[each.cls] = each
            waiting += [field.type for field in each.fields]
        elif isinstance(each, inspect.UnionType):
            waiting += each.types
        elif isinstance(each, inspect.ListType | inspect.VarTupleType):
            waiting.append(each.item_type)
        elif isinstance(each, inspect.DictType):
            waiting.append(each.value_type)
    yield from found.values()


ROUTES = [each for each in create_app(MemoryQueue(), Settings()).routes if isinstance(each, DirectRoute)]
BODIES: list[Shape] = [shape for route in ROUTES for shape in route.operation.body]
STRUCTS = {each.cls: each for shape in BODIES for each in structs_in(inspect.type_info(shape))}


def sample(kind: inspect.Type) -> Any:
    """JSON of this type, without what may be left out."""
    match kind:
        case inspect.StructType():
            tag = {kind.tag_field: kind.tag} if kind.tag_field else {}
            return tag | {each.encode_name: sample(each.type) for each in kind.fields if each.required}
        case inspect.UnionType():
            return sample(next(each for each in kind.types if not isinstance(each, inspect.NoneType)))
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.ListType() | inspect.VarTupleType():
            return [sample(kind.item_type)]
        case inspect.IntType() | inspect.FloatType():
            return 1
        case inspect.BoolType():
            return True
        case inspect.DictType() | inspect.AnyType():
            return {}
        case inspect.StrType():
            return "text"
        case _:
            raise AssertionError(kind)


@pytest.mark.parametrize("shape", STRUCTS, ids=lambda shape: shape.__name__)
def test_null_is_as_if_the_field_were_left_out(shape: Shape):
    kind = STRUCTS[shape]
    body = sample(kind)
    optional = {field.encode_name: None for field in kind.fields if not field.required}

    decoder = msgspec.json.Decoder(shape)
    said = decode_body(decoder, msgspec.json.encode(body | optional))

    assert left_out(said) == left_out(decode_body(decoder, msgspec.json.encode(body)))


def left_out(said: msgspec.Struct) -> dict[str, Any]:
    """The fields, with None for what is not there: a message of an error may tell the two apart."""
    return {
        name: None if value is msgspec.UNSET else value
        for name, value in msgspec.structs.asdict(said).items()
    }


def test_all_bodies_are_looked_at():
    assert {"EmbeddingRequest", "ScoreRequest", "ToolUseBlock", "OllamaFunction"} <= {
        each.__name__ for each in STRUCTS
    }


@pytest.mark.parametrize("shape", STRUCTS, ids=lambda shape: shape.__name__)
def test_the_document_says_that_null_may_stand_for_what_may_be_left_out(shape: Shape):
    kind = STRUCTS[shape]
    body = sample(kind) | {field.encode_name: None for field in kind.fields if not field.required}

    DOCUMENTED.validate(body, {"$ref": f"#/components/schemas/{shape.__name__}"})


class Inner(msgspec.Struct, tag="inner"):
    size: int = 3


class Other(msgspec.Struct, tag="other"):
    size: str = "s"


class Outer(msgspec.Struct):
    name: str
    count: int = 1
    share: float = 0.5
    either: int | float | None = None
    whatever: Any = None
    ids: tuple[str | int | tuple[int, ...], ...] = ()
    by_name: dict[str, Inner] = {}
    blocks: list[Inner | Other] = []
    raw: dict[str, msgspec.Raw] = {}


def decoded(body: str) -> Outer:
    return decode_body(msgspec.json.Decoder(Outer), body.encode())


def test_whole_floats_are_integers_wherever_integers_are_wanted():
    found = decoded(
        '{"name": "n", "count": 16.0, "ids": [1.0, "a", [2.0, 3e2]], "by_name": {"x": {"type": "inner", "size": 4.0}},'
        '"blocks": [{"type": "other", "size": null}, {"type": "inner", "size": -1.0}]}'
    )

    assert (found.count, found.ids) == (16, (1, "a", (2, 300)))
    assert (found.by_name, found.blocks) == ({"x": Inner(4)}, [Other(), Inner(-1)])


def test_floats_stay_floats_wherever_they_may_be():
    found = decoded(
        '{"name": "n", "count": 2.0, "share": 1.0, "either": 3.0, "whatever": {"a": 4.0, "b": null}}'
    )

    assert [type(each) for each in (found.share, found.either)] == [float, float]
    assert found.whatever == {"a": 4.0, "b": None} and isinstance(found.whatever["a"], float)


def test_null_stays_null_where_the_type_has_it_whatever_another_field_is():
    class Message(msgspec.Struct):
        content: str | msgspec.UnsetType | None = msgspec.UNSET
        count: int = 1

    found = decode_body(msgspec.json.Decoder(Message), b'{"content": null, "count": null}')

    assert (found.content, found.count) == (None, 1)


def test_what_nobody_reads_yet_is_not_changed():
    found = decoded('{"name": "n", "count": null, "raw": {"a": {"b": null}, "c": 99999999999999999999}}')

    assert {name: bytes(value) for name, value in found.raw.items()} == {
        "a": b'{"b":null}',
        "c": b"99999999999999999999",
    }


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"name": null}', "name: Expected `str`, got `null`."),
        ('{"name": "n", "count": 16.5}', "count: Expected `int`, got `float`."),
        ('{"name": "n", "count": "16"}', "count: Expected `int`, got `str`."),
        ('{"name": "n", "share": null, "ids": [1.5]}', "ids[0]: "),
        ('{"name": "n", "count": 1e300}', "count: "),
        ('{"name": "n", "count": 1e999}', "count: "),
        ('{"name": "n", "blocks": [{"type": "none"}]}', "blocks[0].type: "),
        ('{"count": null}', "Missing field: name."),
        ("[null]", "Expected `object`, got `array`."),
    ],
)
def test_anything_else_is_refused_as_ever(body: str, words: str):
    with pytest.raises(InvalidInput) as caught:
        decoded(body)

    assert caught.value.message.startswith(words)


def test_a_body_that_is_nested_too_deeply_is_told_from_a_wrong_one():
    with pytest.raises(InvalidInput, match="nested too deeply"):
        decoded('{"name": "n", "count": null, "whatever": ' + "[" * 100_000 + "]" * 100_000 + "}")
