"""A conversation: entries are read, sent with all that was said before, and answered."""

import sys
from collections.abc import Callable

from cli.cannot_do import CannotDo
from cli.chat.answer import ask
from cli.chat.entry import Entry, read_entry
from cli.chat.message import user_message
from cli.chat.screen.display import Display
from cli.chat.screen.line_reader import LineReader
from cli.chat.session import Message, Session
from cli.chat.slash import COMMANDS, Slash
from cli.client.server import Server

HOW_TO_LEAVE = "Use Ctrl + d or /bye to exit."


class Conversation:
    """tell: writes a line for whoever types. display: of one answer."""

    def __init__(
        self,
        server: Server,
        session: Session,
        reader: LineReader,
        display: Callable[[], Display],
        tell: Callable[[str], None] = print,
    ) -> None:
        self._server = server
        self._session = session
        self._reader = reader
        self._display = display
        self._tell = tell
        self._slash = Slash(server, session, reader, tell)

    def run(self) -> None:
        """Until it is left. What goes wrong with one message is told, and the next may be typed."""
        while True:
            try:
                entry = read_entry(self._reader, COMMANDS)
            except KeyboardInterrupt:
                self._tell(f"\n{HOW_TO_LEAVE}")
                continue
            except EOFError:
                self._tell("")
                return
            try:
                if self._is_last(entry):
                    return
            except CannotDo as error:
                self._tell(f"error: {error}")

    def _is_last(self, entry: Entry) -> bool:
        if entry.command:
            return self._slash.run(entry)
        if entry.text.strip():
            self._say(entry.text)
        return False

    def _say(self, text: str) -> None:
        messages = self._session.messages
        messages.append(user_message(text, sees=self._session.sees))
        try:
            answer = ask(self._server, self._session, self._display())
        except CannotDo:
            messages.pop()  # as if it had not been said
            raise
        if answer.interrupted and not answer.text:
            messages.pop()
        else:
            messages.append(Message("assistant", answer.text))
        self._tell("" if answer.text.endswith("\n") else "\n")
        if self._session.verbose and answer.figures is not None:
            print(*answer.figures.lines(), "", sep="\n", file=sys.stderr)
