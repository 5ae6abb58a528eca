"""The command line's parser, which says what was probably meant."""

import argparse
import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, NoReturn

Command = Callable[[str, str], argparse.ArgumentParser]
"""Makes the parser of a command, from its name and what it does."""


class Parser(argparse.ArgumentParser):
    """Ends with status 2 and one line on what is wrong, as argparse does."""

    def parse_args(  # pyright: ignore[reportIncompatibleMethodOverride] - the original is overloaded
        self, args: Iterable[str] | None = None, namespace: Any = None
    ) -> Any:
        options, unknown = self.parse_known_args(args, namespace)
        unknown = _put_behind(options, unknown)
        if unknown:
            command = self._commands().get(getattr(options, "command", ""), self)
            wrong = next((each for each in unknown if each.startswith("-")), "").partition("=")[0]
            self.error(
                f"unrecognized arguments: {' '.join(unknown)}{_meant(wrong, command._option_string_actions)}"
            )
        return options

    def error(self, message: str) -> NoReturn:
        from jobs.store.redis_url import hide_urls  # a Redis URL is not quoted, wherever it was put

        wrong = re.search(r"invalid choice: '([^']*)'", message)
        super().error(hide_urls(message) + (_meant(wrong[1], self._commands()) if wrong else ""))

    def _commands(self) -> dict[str, argparse.ArgumentParser]:
        found: dict[str, argparse.ArgumentParser] = {}
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):  # pyright: ignore[reportPrivateUsage]
                found |= action.choices  # pyright: ignore[reportUnknownMemberType]
        return found


def _put_behind(options: Any, unknown: list[str]) -> list[str]:
    """Words behind an option, where a command takes any number of words; argparse gives it those before it alone.

    A parser tells the name of those words as its default `rest`. Returns what is still unknown.
    """
    if (name := getattr(options, "rest", None)) is None:
        return unknown
    words = [each for each in unknown if each == "-" or not each.startswith("-")]
    setattr(options, name, [*getattr(options, name), *words])
    return [each for each in unknown if each not in words]


def _meant(wrong: str, names: dict[str, Any]) -> str:
    near = get_close_matches(wrong.lower(), names, n=1)
    return f". Did you mean {near[0]}?" if near else ""
