"""A chat whose last message begins the answer: the prompt ends with its text, as the template writes it."""

from msgspec.structs import replace

from jobs.content import TextPart
from jobs.errors import InvalidInput
from jobs.generate import Chat

_END = "\ue0c0\ue0c1\ue0c2"
"""Stands where the beginning ends. A template may trim spaces around a text, but none before this. Of a private use
area, so that no tokenizer and no language means anything by it.
"""


def marked(chat: Chat) -> Chat:
    """The chat as a template is to be given it: with a mark where its last message ends."""
    last = chat.messages[-1]
    return replace(
        chat, messages=(*chat.messages[:-1], replace(last, content=(*last.content, TextPart(_END))))
    )


def up_to_the_mark(rendered: str) -> str:
    """What the model goes on after. Raises InvalidInput where the template has left out the last message's text."""
    before, mark, _ = rendered.rpartition(_END)
    if not mark:
        raise InvalidInput(
            "The model's chat template leaves out the text of the last message, so that no answer can go on after it.",
            param="messages",
        )
    return before
