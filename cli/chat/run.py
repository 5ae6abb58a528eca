"""The command `mlxq run`: one answer, or a conversation."""

import argparse
import sys
from typing import Any

import msgspec

from cli.cannot_do import CannotDo
from cli.chat.answer import ask
from cli.chat.message import user_message
from cli.chat.opening import check_writes, load, look_up
from cli.chat.screen.display import Display
from cli.chat.session import Session, Think
from cli.client import stdin
from cli.client.files import read
from cli.client.parameters import parameters_of
from cli.client.replies import Shown
from cli.client.server import NOT_FOUND, Refused, Server, server_of
from cli.models.embed import embed_texts
from cli.models.offline import data_folder

INTERRUPTED = 130
HISTORY = "chat_history"
_SWITCHES = {"true": True, "false": False}


def run(options: argparse.Namespace) -> int:
    """Raises CannotDo."""
    server = server_of(options)
    prompt = _prompt(options.prompt)
    shown = _look_up(server, options.model)
    if "embedding" in shown.capabilities:
        return embed_texts(server, options.model, [prompt or ""], as_json=options.json)
    check_writes(shown, options.model)
    session = _session(options, sees="vision" in shown.capabilities)
    if prompt is None:
        return _converse(server, session, options)
    session.messages.append(user_message(prompt, sees=session.sees))
    if options.json:
        print(server.send("POST", "/api/chat", session.request(stream=False), works=True).decode())
        return 0
    return _answer(server, session)


def _look_up(server: Server, model: str) -> Shown:
    try:
        return look_up(server, model)
    except Refused as error:
        if error.status != NOT_FOUND:
            raise
        raise CannotDo(f"{error}\nTo bring a model onto this machine: mlxq pull ORGANISATION/NAME") from error


def _prompt(words: list[str]) -> str | None:
    """What is piped in goes before what the command line says. None: a conversation is wanted. Raises CannotDo."""
    said = " ".join(words)
    if stdin.is_terminal():
        return said or None
    piped = stdin.read_all().rstrip("\n")
    if not piped.strip() and not said:
        raise CannotDo("There is no prompt, and standard input is empty.")
    return "\n".join(part for part in (piped, said) if part)


def _session(options: argparse.Namespace, *, sees: bool) -> Session:
    """Raises CannotDo."""
    return Session(
        model=options.model,
        sees=sees,
        system=options.system or "",
        parameters=parameters_of(options.parameter or []),
        format=_format(options.format),
        think=_think(options.think),
        keep_alive=options.keepalive,
        hides_thinking=options.hidethinking,
        verbose=options.verbose,
        wraps_words=not options.nowordwrap,
    )


def _format(given: str | None) -> Any:
    """json, a JSON schema, or a file with one."""
    if given is None or given == "json":
        return given
    text = given.encode() if given.lstrip().startswith("{") else read(given)
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise CannotDo(f"--format {given} is neither json nor a JSON schema: {error}.") from error


def _think(given: str | None) -> Think | None:
    return None if given is None else _SWITCHES.get(given, given)


def _answer(server: Server, session: Session) -> int:
    answer = ask(server, session, _display(session))
    if answer.interrupted:
        print()
        return INTERRUPTED
    if not answer.text.endswith("\n"):
        print()
    if session.verbose and answer.figures is not None:
        print("", *answer.figures.lines(), sep="\n", file=sys.stderr)
    return 0


def _display(session: Session) -> Display:
    shows = False if session.hides_thinking else True if session.think else None
    return Display(wraps_words=session.wraps_words, shows_thinking=shows)


def _converse(server: Server, session: Session, options: argparse.Namespace) -> int:
    if options.json:
        raise CannotDo("--json is for one answer: say the prompt, too.")
    # What edits lines is slow to import, and one answer needs none of it.
    from cli.chat.conversation import Conversation
    from cli.chat.screen.line_reader import line_reader

    load(server, session)
    Conversation(server, session, line_reader(data_folder() / HISTORY), lambda: _display(session)).run()
    return 0
