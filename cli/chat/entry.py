"""What is typed in a conversation: a message, perhaps of several lines, or a command."""

from collections.abc import Collection
from typing import NamedTuple

from cli.chat.images import images_in, missing_in
from cli.chat.screen.line_reader import LineReader

QUOTES = '"""'


class Entry(NamedTuple):
    text: str
    """A message; of a command, what follows its words."""
    command: tuple[str, ...] = ()
    """Empty: it is a message."""


def read_entry(reader: LineReader, commands: Collection[str]) -> Entry:
    '''The next one. Between """ and """ are several lines. commands: the words that may follow a slash.

    Raises EOFError, KeyboardInterrupt.
    '''
    line = reader.read()
    if line.startswith(QUOTES):
        return Entry(_quoted(line, reader))
    if not line.startswith("/"):
        return Entry(line)
    words = line.split()
    if words[0].removeprefix("/") not in commands and (images_in(line).names or missing_in(line)):
        return Entry(line)  # an image's path
    if words[:2] == ["/set", "system"]:
        _, _, text = line.partition("system")
        text = text.strip()
        return Entry(_quoted(text, reader) if text.startswith(QUOTES) else text, ("/set", "system"))
    return Entry("", tuple(words))


def _quoted(line: str, reader: LineReader) -> str:
    """What is between the quotes; reads on until they end."""
    text = line.removeprefix(QUOTES)
    while not text.rstrip().endswith(QUOTES):
        text += "\n" + reader.read(more=True)
    return text.rstrip().removesuffix(QUOTES)
