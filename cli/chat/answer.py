"""An answer as it is written: read from the server, shown, and ended by Ctrl-C."""

from typing import NamedTuple

import msgspec

from cli.cannot_do import CannotDo
from cli.chat.screen.display import Display
from cli.chat.screen.echo import no_echo
from cli.chat.screen.figures import Figures
from cli.chat.screen.spinner import Spinner
from cli.chat.session import Session
from cli.client.server import Server


class _Said(msgspec.Struct, frozen=True):
    content: str = ""
    thinking: str = ""


class _Line(Figures, frozen=True):
    message: _Said = _Said()
    done: bool = False
    error: str = ""


_decoder = msgspec.json.Decoder(_Line)


class Answer(NamedTuple):
    text: str
    interrupted: bool
    figures: Figures | None
    """None where it was interrupted."""


def ask(server: Server, session: Session, display: Display) -> Answer:
    """Raises NoServer, Refused, and CannotDo for an error in the midst of the answer."""
    text = list[str]()
    last: _Line | None = None
    try:
        with no_echo(), Spinner() as spinner, server.stream("/api/chat", session.request()) as lines:
            for each in map(_decoder.decode, lines):
                if each.message.content or each.message.thinking or each.done or each.error:
                    spinner.stop()
                if each.error:
                    raise CannotDo(each.error)
                display.think(each.message.thinking)
                display.write(each.message.content)
                text.append(each.message.content)
                if each.done:
                    last = each
    except KeyboardInterrupt:
        return Answer("".join(text), True, None)
    except msgspec.DecodeError as error:
        raise CannotDo(f"The server at {server} sends no answer that can be read: {error}.") from error
    finally:
        display.end()
    if last is None:
        raise CannotDo(f"The server at {server} broke off in the midst of the answer.")
    return Answer("".join(text), False, last)
