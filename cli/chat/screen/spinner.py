"""Something that moves while a model is loaded."""

import sys
import threading
from types import TracebackType
from typing import Self, TextIO

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAME_S = 0.1
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"


class Spinner:
    """On a terminal only. `stop` may be called more than once."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._turn, daemon=True) if self._stream.isatty() else None

    def __enter__(self) -> Self:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Leaves nothing of it on the screen."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _turn(self) -> None:
        turn = 0
        while not self._ended.wait(_FRAME_S):
            self._stream.write(f"{_HIDE}\r{_FRAMES[turn % len(_FRAMES)]} ")
            self._stream.flush()
            turn += 1
        if turn:
            self._stream.write(f"\r\x1b[K{_SHOW}")
            self._stream.flush()
