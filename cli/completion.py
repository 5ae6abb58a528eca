"""`mlxq completion`: a script that lets a shell complete commands, options, models and files. shtab writes it."""

import argparse
from typing import Any

import shtab

SHELLS = ("bash", "zsh", "fish")

_MODELS = shtab.cmd("mlxq list --quiet 2>/dev/null")
"""The names that the running server knows; none where there is no server."""
_BY_METAVAR: dict[str, Any] = {"MODEL": _MODELS, "FILE": shtab.FILE, "FOLDER": shtab.DIRECTORY}


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """parser: of the whole command. shell: one of SHELLS."""
    _say_how(parser)
    return shtab.complete(parser, shell)


def _say_how(parser: argparse.ArgumentParser) -> None:
    """Marks each action with what completes its values, as shtab reads it, by how its help calls them."""
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage]
        if isinstance(action, argparse._SubParsersAction):  # pyright: ignore[reportPrivateUsage]
            parts: dict[str, argparse.ArgumentParser] = action.choices  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            for part in parts.values():
                _say_how(part)
        elif (
            action.option_strings and action.dest == "models"
        ):  # of `up` and `worker`: what they are to serve
            _complete(action, shtab.DIRECTORY)
        elif isinstance(action.metavar, str) and action.metavar in _BY_METAVAR:
            _complete(action, _BY_METAVAR[action.metavar])


def _complete(action: argparse.Action, how: Any) -> None:
    action.complete = how  # pyright: ignore[reportAttributeAccessIssue]
