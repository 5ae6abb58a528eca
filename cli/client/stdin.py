"""Standard input: what is piped in, or that somebody types there."""

import sys
from collections.abc import Iterator
from typing import BinaryIO

from cli.cannot_do import CannotDo


def is_terminal() -> bool:
    """False where it is closed, too."""
    return sys.stdin is not None and sys.stdin.isatty()  # pyright: ignore[reportUnnecessaryComparison]


def read_all() -> str:
    """Raises CannotDo where it is no UTF-8 text."""
    return "".join(lines())


def lines() -> Iterator[str]:
    """As they come, with their ends. Raises CannotDo where one is no UTF-8 text."""
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] - a closed one
        return
    piped: BinaryIO = sys.stdin.buffer
    for number, line in enumerate(piped, 1):
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise CannotDo(f"Line {number} of standard input is no UTF-8 text.") from error
