"""An answer on the terminal, or in a pipe."""

import re
import shutil
import sys
from typing import TextIO

from cli.chat.screen.word_wrap import WordWrap
from jobs.process.colour import shows_colours

_GREY, _PLAIN = "\x1b[90m", "\x1b[0m"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What would move the cursor or change the terminal. Tabs and line ends stay."""


class Display:
    """Thinking is shown in grey on a terminal; elsewhere only the answer is, unless shows_thinking says otherwise.

    shows_thinking: None leaves it to whether there is a terminal.
    """

    def __init__(
        self, *, wraps_words: bool, shows_thinking: bool | None = None, stream: TextIO | None = None
    ) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._is_terminal = self._stream.isatty()
        self._shows_thinking = self._is_terminal if shows_thinking is None else shows_thinking
        self._thinks = False
        self._wrap = WordWrap(self._stream.write, _columns) if wraps_words and self._is_terminal else None

    def think(self, text: str) -> None:
        """A piece of what the model thinks."""
        if not text or not self._shows_thinking:
            return
        if not self._thinks:
            self._thinks = True
            self._stream.write("Thinking...\n")
            self._colour(_GREY)
        self._put(text)

    def write(self, text: str) -> None:
        """A piece of the answer."""
        if not text:
            return
        self._end_thinking()
        self._put(text)

    def end(self) -> None:
        """Nothing more comes of this answer."""
        self._end_thinking()
        if self._wrap is not None:
            self._wrap.end()
        self._stream.flush()

    def _end_thinking(self) -> None:
        if not self._thinks:
            return
        self._thinks = False
        if self._wrap is not None:
            self._wrap.end()
        self._colour(_PLAIN)
        self._put("\n...done thinking.\n\n")

    def _put(self, text: str) -> None:
        if self._is_terminal:
            text = _CONTROL.sub("", text)
        if self._wrap is None:
            self._stream.write(text)
        else:
            self._wrap.add(text)
        self._stream.flush()

    def _colour(self, code: str) -> None:
        if shows_colours(self._stream):
            self._stream.write(code)


def _columns() -> int:
    return shutil.get_terminal_size().columns
