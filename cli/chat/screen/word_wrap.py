"""Text that comes in pieces, broken between words where a line of the terminal ends."""

from collections.abc import Callable

from cli.tables.table import width

_FENCE = "```"


class WordWrap:
    """Holds the word that is being written until it ends. Code between fences is left as it is.

    columns: of the terminal, asked for at each line, as a window changes its size.
    """

    def __init__(self, write: Callable[[str], object], columns: Callable[[], int]) -> None:
        self._write = write
        self._columns = columns
        self._word = ""
        self._line = ""
        """What the line holds so far, the word left out."""
        self._fenced = False

    def add(self, text: str) -> None:
        """The next piece."""
        for letter in text:
            if letter == "\n":
                self._end_word()
                self._end_line()
            elif letter.isspace():
                self._end_word()
                self._put(letter)
            else:
                self._word += letter
                if width(letter) > 1:  # scripts without blanks break anywhere
                    self._end_word()

    def end(self) -> None:
        """Writes what is held."""
        self._end_word()

    def _end_word(self) -> None:
        if not self._word:
            return
        if self._line and not self._fenced and width(self._line) + width(self._word) > self._columns():
            self._write("\n")
            self._line = ""
        self._put(self._word)
        self._word = ""

    def _put(self, text: str) -> None:
        self._line += text
        self._write(text)

    def _end_line(self) -> None:
        if self._line.lstrip().startswith(_FENCE):
            self._fenced = not self._fenced
        self._line = ""
        self._write("\n")
