"""The commands of a conversation, as Ollama has them."""

from collections.abc import Callable

import msgspec

from cli.chat.entry import Entry
from cli.chat.help import HELP, PARAMETERS, SET, SHORTCUTS, SHOW
from cli.chat.opening import load, look_up
from cli.chat.screen.line_reader import LineReader
from cli.chat.session import Session
from cli.client.parameters import parameter
from cli.client.server import Refused, Server
from cli.models.list import list_models
from cli.models.show import show_part

COMMANDS = ("set", "show", "load", "save", "list", "clear", "bye", "exit", "help", "?")
_PARTS = ("info", "license", "modelfile", "parameters", "system", "template")


class Slash:
    """Changes the session. tell: writes a line for whoever types."""

    def __init__(
        self, server: Server, session: Session, reader: LineReader, tell: Callable[[str], None]
    ) -> None:
        self._server = server
        self._session = session
        self._reader = reader
        self._tell = tell

    def run(self, entry: Entry) -> bool:
        """Whether the conversation ends with it. Raises CannotDo."""
        first, *words = entry.command
        match first.removeprefix("/"):
            case "bye" | "exit":
                return True
            case "set":
                self._set(words, entry.text)
            case "show":
                self._show(words)
            case "load":
                self._load(words)
            case "save":
                self._save(words)
            case "list":
                list_models(self._server)
            case "clear":
                self._session.messages.clear()
                self._tell("Cleared session context")
            case "help" | "?":
                self._help(words)
            case _:
                self._tell(f"Unknown command '{first}'. Type /? for help")
        return False

    def _help(self, words: list[str]) -> None:
        topics = {"set": SET, "show": SHOW, "shortcut": SHORTCUTS, "shortcuts": SHORTCUTS}
        self._tell(topics.get(words[0].removeprefix("/"), HELP) if words else HELP)

    def _set(self, words: list[str], text: str) -> None:
        session = self._session
        match words:
            case ["history" | "nohistory" as word]:
                self._reader.remember(word == "history")
            case ["wordwrap" | "nowordwrap" as word]:
                session.wraps_words = word == "wordwrap"
            case ["verbose" | "quiet" as word]:
                session.verbose = word == "verbose"
            case ["think" | "nothink" as word, *level]:
                session.think = level[0] if level else word == "think"
            case ["format", *rest]:
                if rest != ["json"]:
                    self._tell("Invalid or missing format. For 'json' mode use '/set format json'")
                    return
                session.format = word = "json"
            case ["noformat" as word]:
                session.format = None
            case ["parameter", *rest]:
                self._set_parameter(rest)
                return
            case ["system"] if text:
                session.system = text
                self._tell("Set system message.")
                return
            case [word, *_] if word != "system":
                self._tell(f"Unknown command '/set {word}'. Type /? for help")
                return
            case _:
                self._tell(SET)
                return
        self._tell(f"Set '{word}' mode.")

    def _set_parameter(self, given: list[str]) -> None:
        if len(given) < 2:
            self._tell(PARAMETERS)
            return
        name, *words = given
        try:
            self._session.parameters[name] = parameter(name, words)
        except ValueError as error:
            self._tell(f"Couldn't set parameter: {error}")
        else:
            self._tell(f"Set parameter '{name}' to '{', '.join(words)}'")

    def _show(self, words: list[str]) -> None:
        if not words:
            self._tell(SHOW)
            return
        [part, *_] = words
        if part not in _PARTS:
            self._tell(f"Unknown command '/show {part}'. Type /? for help")
            return
        if part == "system" and self._session.system:
            self._tell(self._session.system)
            return
        self._tell(show_part(look_up(self._server, self._session.model), part))
        if part == "parameters" and self._session.parameters:
            self._tell("User defined parameters:")
            for name, value in self._session.parameters.items():
                self._tell(f"  {name:<30} {value}")

    def _load(self, words: list[str]) -> None:
        if len(words) != 1:
            self._tell("Usage:\n  /load <modelname>")
            return
        [model] = words
        try:
            shown = look_up(self._server, model)
        except Refused as error:
            if error.status == 404:
                self._tell(f"Couldn't find model '{model}'")
                return
            raise
        load(self._server, msgspec.structs.replace(self._session, model=model))
        self._session.model, self._session.sees = model, "vision" in shown.capabilities
        self._session.messages.clear()
        self._tell(f"Loaded model '{model}'")

    def _save(self, words: list[str]) -> None:
        if len(words) != 1:
            self._tell("Usage:\n  /save <modelname>")
            return
        [name] = words
        session = self._session
        if any(message.images for message in session.messages):
            self._tell("Images are not saved: the messages that had them are saved without.")
        body: dict[str, object] = {
            "model": name,
            "from": session.model,
            "messages": [{"role": each.role, "content": each.content} for each in session.messages],
            "stream": False,
        }
        if session.system:
            body["system"] = session.system
        if session.parameters:
            body["parameters"] = session.parameters
        self._server.send("POST", "/api/create", body, works=True)
        self._tell(f"Created new model '{name}'")
