"""Text that comes in pieces, broken between words where a line of the terminal ends."""

from collections.abc import Callable

from cli.tables.table import width

_FENCE = "```"


class WordWrap:
    """Holds the word that is being written until it ends, and the blanks behind it until the next one: none are written
    at the end of a line, which a terminal would break there once more. Code between fences is left as it is.

    columns: of the terminal, asked for at each word, as a window changes its size.
    """

    def __init__(self, write: Callable[[str], object], columns: Callable[[], int]) -> None:
        self._write = write
        self._columns = columns
        self._blanks = ""
        self._word = ""
        self._line = ""
        """What the line holds so far, without the two above."""
        self._fenced = False

    def add(self, text: str) -> None:
        """The next piece."""
        for letter in text:
            if letter == "\n":
                self._end_word()
                self._end_line()
            elif letter.isspace():
                self._end_word()
                self._blanks += letter
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
        whole = self._blanks + self._word
        if self._line and not self._fenced and width(self._line) + width(whole) > self._columns():
            self._write("\n")
            self._line, whole = "", self._word
        self._line += whole
        self._write(whole)
        self._word = self._blanks = ""

    def _end_line(self) -> None:
        if self._line.lstrip().startswith(_FENCE):
            self._fenced = not self._fenced
        self._line = self._blanks = ""
        self._write("\n")
