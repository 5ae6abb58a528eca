"""Lines that somebody types: edited and remembered on a terminal, plain elsewhere."""

import os
import sys
from pathlib import Path
from typing import Protocol, TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output.vt100 import Vt100_Output

from cli.cannot_do import CannotDo

PROMPT, MORE = ">>> ", "... "
_HINT, _MORE_HINT = "Send a message (/? for help)", "Press Enter to send"
_GREY = "ansibrightblack"


class LineReader(Protocol):
    def read(self, *, more: bool = False) -> str:
        """A line without its end. more: it goes on with an entry that has begun.

        Raises EOFError at the end, KeyboardInterrupt for Ctrl-C.
        """
        ...

    def remember(self, on: bool) -> None:
        """Whether what is typed goes into the history from now on."""
        ...


class _RememberedLines(FileHistory):
    """Readable by its owner alone. Raises OSError."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
        super().__init__(str(file))
        self.is_on = True

    def append_string(self, string: str) -> None:
        if self.is_on:
            super().append_string(string)


class TerminalReader:
    """A pasted text is one entry, its line ends included. Ctrl-G opens the editor that VISUAL or EDITOR names."""

    def __init__(self, file: Path) -> None:
        """file: of the history; made if need be. Raises OSError."""
        self._history = _RememberedLines(file)
        keys = KeyBindings()

        @keys.add("c-g")
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.open_in_editor()

        output = Vt100_Output.from_pty(sys.stdout, term=os.environ.get("TERM"))
        output.enable_cpr = False  # not every terminal answers where its cursor is
        self._session = PromptSession[str](
            history=self._history, key_bindings=keys, output=output, enable_suspend=True
        )

    def read(self, *, more: bool = False) -> str:
        return self._session.prompt(
            MORE if more else PROMPT, placeholder=[(_GREY, _MORE_HINT if more else _HINT)]
        )

    def remember(self, on: bool) -> None:
        self._history.is_on = on


class PlainReader:
    """Of a terminal that has no cursor to move, or whose other end is a program."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdin if stream is None else stream

    def read(self, *, more: bool = False) -> str:
        line = self._stream.readline()
        if not line:
            raise EOFError
        return line.rstrip("\r\n")

    def remember(self, on: bool) -> None:
        """Nothing is remembered."""


def line_reader(file: Path) -> LineReader:
    """The one for this terminal. file: of the history. Raises CannotDo."""
    if not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return PlainReader()
    try:
        return TerminalReader(file)
    except OSError as error:
        raise CannotDo(
            f"Cannot write the history of conversations, {file}: {error.strerror or error}."
        ) from error
