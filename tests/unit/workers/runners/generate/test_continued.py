"""A chat that ends with the beginning of the answer: the prompt ends with its text, and with nothing after it."""

from typing import Any, cast

import pytest

from jobs.content import TextPart
from jobs.errors import InvalidInput
from jobs.generate import Chat, Message
from tests.unit.workers.runners.generate.test_prompts import Tokenizer
from workers.runners.generate.output.segments import NORMAL, REASONING, initial_kind
from workers.runners.generate.prompts import message_text, render

QUESTION = Message("user", (TextPart("Q"),))

PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</end>{% endfor %}{% if more %}<assistant>{% endif %}"
TRIMS = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}</end>{% endfor %}"
THINKS = (
    "{% for m in messages %}<{{ m.role }}>{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>"
    "{% endif %}{{ m.content }}</end>{% endfor %}"
)
LEAVES_OUT = "{% for m in messages if m.role == 'user' %}<{{ m.role }}>{{ m.content }}{% endfor %}"


class Ids(Tokenizer):
    """An id for each character; special tokens, if asked for, are a 0."""

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [0] * add_special_tokens + list(map(ord, text))


def prompt(template: str, begun: str, *, reasoning: str = "") -> str:
    last = Message("assistant", (TextPart(begun),), reasoning=reasoning)
    chat = Chat((QUESTION, last), continue_final=True)
    tokenizer = cast(Any, Ids(template))
    text = render(tokenizer, chat, message_text, tokenize=False)
    assert render(tokenizer, chat, message_text, tokenize=True) == list(map(ord, text))
    return text


@pytest.mark.parametrize("begun", ["The answer is (", "It is ", " a", "", "a</end>b", "Q"])
@pytest.mark.parametrize("template", [PLAIN, TRIMS, THINKS], ids=["plain", "trims", "thinks"])
def test_the_prompt_ends_with_the_text_of_the_last_message(template: str, begun: str):
    kept = begun.lstrip() if template == TRIMS else begun
    assert prompt(template, begun) == f"<user>Q</end><assistant>{kept}"


def test_what_the_last_message_thought_is_before_its_text():
    found = prompt(THINKS, "So", reasoning="Hm.")
    assert found == "<user>Q</end><assistant><think>Hm.</think>So"


def test_a_template_that_leaves_the_last_message_out_is_an_error():
    with pytest.raises(InvalidInput, match="leaves out the text of the last message"):
        prompt(LEAVES_OUT, "a")


def test_a_model_without_a_template_goes_on_after_the_text():
    chat = Chat((QUESTION, Message("assistant", (TextPart("a "),))), continue_final=True)
    tokenizer = Ids(PLAIN)
    tokenizer.has_chat_template = False
    found = render(cast(Any, tokenizer), chat, message_text, tokenize=False)
    assert found == "USER: Q\nASSISTANT: a "


class Thinks:
    """What `initial_kind` needs of a tokenizer: 1 begins thoughts, 2 ends them."""

    has_thinking = True
    response_initial_state = REASONING

    def rfind_think_start(self, ids: list[int]) -> int:
        return len(ids) - 1 - ids[::-1].index(1) if 1 in ids else -1

    def rfind_think_end(self, ids: list[int]) -> int:
        return len(ids) - 1 - ids[::-1].index(2) if 2 in ids else -1


@pytest.mark.parametrize(("ids", "kind"), [([5], NORMAL), ([1, 5, 2, 6], NORMAL), ([1, 5], REASONING)])
def test_the_beginning_tells_whether_the_model_is_thinking(ids: list[int], kind: str):
    assert initial_kind(cast(Any, Thinks()), ids, goes_on=True) == kind
    assert initial_kind(cast(Any, Thinks()), ids) == REASONING
