"""Tool calls that max_tokens ended in the middle: the complete ones, and the beginning of the last one."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

Parse = Callable[[str], Any]
"""A model's own reader of whole calls (mlx-lm's), in which it raises whatever it likes."""


class FoundCall(NamedTuple):
    """A tool call that a model has written."""

    name: str
    arguments: str
    """JSON; of a truncated call, the beginning of a JSON object."""
    truncated: bool = False
    id: str | None = None


_HEADS = (
    # {"name": "f", "arguments": …, also where "arguments" is not complete
    re.compile(
        r'\{\s*+"name"\s*+:\s*+"(?P<name>[^"\\]++)"\s*+'
        r'(?:,\s*+"(?:arguments|parameters)"\s*+:\s*+|(?:,\s*+(?:"[a-z]*+"?+\s*+:?+\s*+)?)?$)'
    ),
    # Mistral: f[ARGS]…
    re.compile(r"(?<![\w.-])(?P<name>[\w.-]++)\s*+\[ARGS\]\s*+"),
    # Kimi K2: functions.f:0<|tool_call_argument_begin|>…
    re.compile(
        r"(?<![\w.-])(?P<id>(?:functions\.)?(?P<name>[\w.-]++):\d++)\s*+<\|tool_call_argument_begin\|>\s*+"
    ),
)
"""What comes before arguments that are JSON. No part of it is read twice, whatever a model repeats without end."""

_OPENING = re.compile(r"[\s\[]*(?:<\|tool_call_begin\|>\s*)?")
"""What may come before the first of them."""

_LONGEST_ESCAPE = len(r"\u00e9")

_CLOSINGS = ("</function>", "</invoke>", "</atem:invoke>", "<|close|>call<|sep|>", "")
"""What ends a call whose arguments stand between tags. Readers of such calls leave out an argument that has no end."""

_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_MAX_DEPTH = 100
_PART = re.compile(
    r"""<\|"\|>.*?<\|"\|>|<escape>.*?<escape>|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"""
    r"""|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<comma>,)|(?P<cut><\|"\||<escape>|["'])""",
    re.DOTALL,
)
"""Quoted text, brackets and commas; a quote that nothing ends."""


def read_truncated_calls(text: str, parse: Parse, names: Sequence[str]) -> list[FoundCall]:
    """The calls in `text`, which has no end mark. A call whose name is not complete is left out.

    names: the tools that there are.
    """
    for head in _HEADS:
        if found := list(_json_calls(text, head)):
            return [call for call in found if call.name in names]
    if not any(name in text for name in names):
        return []
    return _tagged(text, parse, names) or _bracketed(text, parse, names)


def found_calls(parsed: Any) -> list[FoundCall]:
    """What mlx-lm's readers return, one or several: {"name", "arguments"}, the latter an object or its JSON text."""
    return [
        FoundCall(str(call["name"]), _as_text(call["arguments"]), id=call.get("id"))
        for call in (parsed if isinstance(parsed, list) else [parsed])
    ]


def _as_text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _json_calls(text: str, head: re.Pattern[str]) -> Iterator[FoundCall]:
    decoder, at = json.JSONDecoder(), 0
    while found := head.search(text, at):
        if at == 0 and not _OPENING.fullmatch(text, 0, found.start()):
            return  # it stands in an argument of another notation
        call_id = found.groupdict().get("id")
        try:
            arguments, at = decoder.raw_decode(text, found.end())
        except (ValueError, RecursionError):
            yield FoundCall(found["name"], _begun(text[found.end() :]), truncated=True, id=call_id)
            return
        yield FoundCall(found["name"], _as_text(arguments), id=call_id)


def _begun(arguments: str) -> str:
    """The beginning of an object, which may be written as a JSON string; "" where it is none."""
    for end in range(len(arguments), max(0, len(arguments) - _LONGEST_ESCAPE), -1):
        if not arguments.startswith('"'):
            break
        with contextlib.suppress(ValueError):
            arguments = json.loads(arguments[:end] + '"')
    return arguments if arguments.startswith("{") else ""


def _tagged(text: str, parse: Parse, names: Sequence[str]) -> list[FoundCall]:
    for closing in _CLOSINGS:
        ended = bool(closing) and text.rstrip().endswith(closing)
        if found := _parsed(text if ended else text + closing, text, parse, names):
            return found if ended else _with_last_truncated(found)
    return []


def _bracketed(text: str, parse: Parse, names: Sequence[str]) -> list[FoundCall]:
    """Calls of the form f(a=1) or call:f{a:1}: as far as they go without the last argument, brackets closed."""
    opened: list[str] = []
    end = 0
    for part in _PART.finditer(text):
        if part["cut"]:
            break
        if part["open"]:
            opened.append(_BRACKETS[part["open"]])
            if len(opened) > _MAX_DEPTH:
                return []
        elif part["close"] and opened:
            opened.pop()
        elif not part["comma"]:
            continue
        end = part.start() if part["comma"] else part.end()
    found = _parsed(text[:end] + "".join(reversed(opened)), text, parse, names) if end else []
    return found if opened in ([], ["]"]) else _with_last_truncated(found)


def _parsed(closed: str, text: str, parse: Parse, names: Sequence[str]) -> list[FoundCall]:
    """The calls, if all their names are tools'. A name at the text's end may go on."""
    try:
        found = found_calls(parse(closed))
    except Exception:  # noqa: BLE001  # a model's own reader, on a text it was not made for
        return []
    known = all(call.name in names and not text.rstrip().endswith(call.name) for call in found)
    return found if known else []


def _with_last_truncated(calls: list[FoundCall]) -> list[FoundCall]:
    return [
        *calls[:-1],
        *(call._replace(arguments=call.arguments.rstrip()[:-1], truncated=True) for call in calls[-1:]),
    ]
