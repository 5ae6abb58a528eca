"""What a chat's template is given: read from JSON, which may be nested as deep as a body allows."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import jinja2
import pytest

from jobs.content import ImagePart, TextPart
from jobs.errors import InvalidInput
from jobs.generate import Chat, Message, Tool, ToolCall
from workers.runners.generate.prompts import message_text, render
from workers.runners.generate.system_messages import merged

DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000
HELLO = (Message("user", (TextPart("Hello"),)),)


@pytest.mark.parametrize(
    "chat",
    [
        Chat(HELLO, template_options=DEEP),
        Chat(HELLO, tools=(Tool("f", parameters=DEEP),)),
    ],
    ids=["options", "tools"],
)
def test_json_nested_deeper_than_python_reads_is_the_callers_fault(chat: Chat):
    tokenizer = SimpleNamespace(
        has_tool_calling=True, has_chat_template=True, apply_chat_template=lambda *_, **__: "rendered"
    )
    with pytest.raises(InvalidInput, match="chat template cannot render"):
        render(cast(Any, tokenizer), chat, message_text, tokenize=False)


class Tokenizer:
    """What `render` needs of a tokenizer: a Jinja template."""

    has_tool_calling = has_chat_template = True

    def __init__(self, template: str) -> None:
        def refuse(message: str) -> None:
            raise ValueError(message)

        self._template = jinja2.Environment().from_string(template, globals={"refuse": refuse})

    def apply_chat_template(self, messages: list[dict[str, Any]], *, tokenize: bool, **_: Any) -> Any:
        text = self._template.render(messages=messages)
        return text.split() if tokenize else text


ANY = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
FIRST_ONLY = (
    "{% for m in messages %}{% if m.role == 'system' and not loop.first %}{{ refuse('at the beginning') }}{% endif %}"
    "<{{ m.role }}>{{ m.content }}{% endfor %}"
)
LEAVES_OUT = (
    "{% if messages[0].role == 'system' %}<system>{{ messages[0].content }}{% endif %}"
    "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endfor %}"
)
NONE = "{% for m in messages %}{% if m.role == 'system' %}{{ refuse('no system') }}{% endif %}{% endfor %}"
CALLS = (
    "{% for m in messages %}{% for c in m.tool_calls %}{{ c.function.arguments }};{% endfor %}{% endfor %}"
)
ITEMS = (
    "{% for m in messages %}{% for c in m.tool_calls %}{% for k, v in c.function.arguments.items() %}"
    "{{ k }}={{ v }};{% endfor %}{% endfor %}{% endfor %}"
)


def said(role: str, text: str) -> Message:
    return Message(role, (TextPart(text),))


SEVERAL = (
    said("system", "A"),
    said("user", "B"),
    said("system", "C"),
    said("user", "D"),
    said("system", "E"),
)
MERGED = "<system>A\n\nC\n\nE<user>B<user>D"


def rendered(template: str, messages: Sequence[Message], *, tokenize: bool = False) -> Any:
    return render(cast(Any, Tokenizer(template)), Chat(tuple(messages)), message_text, tokenize=tokenize)


@pytest.mark.parametrize("tokenize", [False, True])
@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (ANY, "<system>A<user>B<system>C<user>D<system>E"),
        (FIRST_ONLY, MERGED),
        (LEAVES_OUT, MERGED),
    ],
    ids=["takes several", "refuses others", "leaves others out"],
)
def test_several_messages_of_the_system_are_one_where_the_template_takes_one(
    template: str, expected: str, tokenize: bool
):
    found = rendered(template, SEVERAL, tokenize=tokenize)
    assert found == (expected.split() if tokenize else expected)


@pytest.mark.parametrize("template", [ANY, FIRST_ONLY, LEAVES_OUT])
def test_one_message_of_the_system_stays_as_it_is(template: str):
    assert rendered(template, (said("system", "A"), said("user", "B"))) == "<system>A<user>B"


@pytest.mark.parametrize("template", [FIRST_ONLY, LEAVES_OUT])
def test_a_message_of_the_system_that_is_not_at_the_front_is_put_there(template: str):
    assert rendered(template, (said("user", "B"), said("system", "A"))) == "<system>A<user>B"


def test_a_template_that_takes_none_says_so():
    with pytest.raises(InvalidInput, match="no system"):
        rendered(NONE, SEVERAL)


def test_images_among_the_systems_messages_are_kept():
    image = ImagePart(b"picture")
    found = merged(
        (said("system", "A"), Message("user", (image,)), Message("system", (image, TextPart("C"))))
    )
    assert found == (
        Message("system", (TextPart("A"), TextPart("\n\n"), image, TextPart("C"))),
        Message("user", (image,)),
    )


def called(*arguments: str) -> Message:
    return Message("assistant", tool_calls=tuple(ToolCall("c", "f", each) for each in arguments))


@pytest.mark.parametrize(
    ("template", "expected"),
    [(CALLS, "{'q': 1};{\"q\": 1;[2];"), (ITEMS, 'q=1;arguments={"q": 1;arguments=[2];')],
    ids=["prints them", "reads objects only"],
)
def test_odd_arguments_of_earlier_calls_are_shown_as_text(template: str, expected: str):
    assert rendered(template, (called('{"q": 1}', '{"q": 1', "[2]"),)) == expected


def test_odd_arguments_of_earlier_calls_leave_several_messages_of_the_system_apart():
    messages = (said("system", "A"), called("[2]"), said("system", "C"))
    assert rendered(ITEMS + ANY, messages) == "arguments=[2];<system>A<assistant><system>C"
