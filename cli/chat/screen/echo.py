"""Keys that are pressed while an answer is written: they wait for the next entry, and do not show in its midst."""

import contextlib
import sys
from collections.abc import Generator

from cli.client import stdin


@contextlib.contextmanager
def no_echo() -> Generator[None]:
    """Where standard input is a terminal. Ctrl-C still interrupts."""
    if not stdin.is_terminal():
        yield
        return
    import termios

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    quiet = [*before]
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
