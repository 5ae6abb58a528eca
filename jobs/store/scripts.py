"""The Lua scripts, one file each, with what they share put in front."""

import functools
import re
from collections.abc import Iterator
from importlib import resources
from typing import NamedTuple


class _Definition(NamedTuple):
    names: frozenset[str]
    """What it defines."""
    source: str


@functools.cache
def script(name: str) -> str:
    """Source of lua/{name}.lua, ready for register_script.

    In front are those definitions of lib.lua that it needs, not all: at each run Redis makes every function anew.
    """
    source = _read(name)
    return "".join(reversed([*_needed(source)])) + source


def _read(name: str) -> str:
    return (resources.files("jobs.store") / "lua" / f"{name}.lua").read_text()


@functools.cache
def _definitions() -> tuple[_Definition, ...]:
    """Those of lib.lua, in their order."""
    sources = re.split(r"\n(?=local )", _read("lib"))[1:]
    return tuple(_Definition(_defined(source), source + "\n") for source in sources)


def _defined(source: str) -> frozenset[str]:
    if function := re.match(r"local function (\w+)", source):
        return frozenset({function[1]})
    return frozenset(re.findall(r"\w+", source.partition("=")[0])[1:])


def _needed(source: str) -> Iterator[str]:
    """The definitions that the source names, and those that these name. Last first: each names only earlier ones."""
    named = _words(source)
    for definition in reversed(_definitions()):
        if definition.names & named:
            named |= _words(definition.source)
            yield definition.source


def _words(source: str) -> set[str]:
    """All of the code, none of the comments."""
    return set(re.findall(r"\w+", re.sub("--.*", "", source)))
