"""Several messages of the system in one chat: some templates take one, at the front."""

from collections.abc import Sequence

from msgspec.structs import replace

from jobs.content import TextPart
from jobs.generate import Message

_BETWEEN = TextPart("\n\n")


def has_several(messages: Sequence[Message]) -> bool:
    """Whether there is one that is not at the front."""
    return any(message.role == "system" for message in messages[1:])


def shows_all(rendered: str, messages: Sequence[Message]) -> bool:
    """Whether what a template made of the messages has the texts of all the system's."""
    said = [part for message in messages if message.role == "system" for part in message.content]
    return all(part.text.strip() in rendered for part in said if isinstance(part, TextPart))


def merged(messages: Sequence[Message]) -> tuple[Message, ...]:
    """One message of the system at the front, with what all of them say in their order; then the others."""
    rules = [message for message in messages if message.role == "system"]
    content = [part for rule in rules for part in (_BETWEEN, *rule.content)][1:]
    others = (message for message in messages if message.role != "system")
    return (replace(rules[0], content=tuple(content)), *others)
