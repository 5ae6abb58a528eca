"""A program on a terminal that somebody types at, and what the screen shows."""

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import pyte

from tests.support.folders import ROOT
from tests.support.waiting import PATIENCE_S

ENTER, CTRL_C, CTRL_D = "\r", "\x03", "\x04"
_PASTE, _PASTED = "\x1b[200~", "\x1b[201~"
# The program gets the terminal as its own one: Ctrl-C is a signal to it.
_ON_TERMINAL = "import os, sys; os.login_tty(int(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])"


class Terminal:
    """environ: variables of the program besides our own. columns, lines: of the screen."""

    def __init__(self, *command: str, environ: Mapping[str, str], columns: int = 80, lines: int = 40) -> None:
        self._screen = pyte.HistoryScreen(columns, lines, history=1000)
        self._stream = pyte.ByteStream(self._screen)
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ON_TERMINAL, str(theirs), sys.executable, *command],
            cwd=ROOT,
            env={**inherited, "TERM": "xterm-256color", **environ},
            pass_fds=(theirs,),
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    @property
    def screen(self) -> pyte.Screen:
        return self._screen

    @property
    def text(self) -> str:
        """What the screen shows, without blanks at the ends of lines and empty lines at its end."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def type(self, text: str) -> None:
        """As keys."""
        os.write(self._ours, text.encode())

    def paste(self, text: str) -> None:
        """As a terminal does it for a program that asked to be told."""
        self.type(_PASTE + text.replace("\n", "\r") + _PASTED)

    def wait_for(self, text: str, times: int = 1) -> str:
        """What the screen shows once the text is there so often."""
        ends = time.monotonic() + PATIENCE_S
        while self.text.count(text) < times:
            assert time.monotonic() < ends and self._read(0.5), f"no {text!r}:\n{self.text}"
        return self.text

    def wait(self) -> int:
        """The exit code. All that was written is on the screen."""
        while self._read(PATIENCE_S):
            pass
        return self.process.wait(PATIENCE_S)

    def _read(self, timeout_s: float) -> bool:
        """False where the program has closed the terminal."""
        ready, _, _ = select.select([self._ours], [], [], timeout_s)
        if not ready:
            return self.process.poll() is None
        with contextlib.suppress(OSError):  # Linux's way of telling the end
            if data := os.read(self._ours, 65536):
                self._stream.feed(data)
                return True
        return False
