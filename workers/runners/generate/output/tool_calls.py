"""Reads the tool calls that a model writes."""

import secrets
from collections.abc import Sequence

from jobs.generate import ToolCall
from workers.runners.generate.output.truncated_calls import (
    FoundCall,
    Parse,
    found_calls,
    read_truncated_calls,
)


class CallReader:
    """Reads tool calls in one model's notation."""

    def __init__(self, parse: Parse, names: Sequence[str], markers: tuple[str, str]) -> None:
        """parse: the model's own parser. names: the request's tools. markers: what stands around a call."""
        self._parse = parse
        self._names = tuple(names)
        self.markers = markers

    def read(self, text: str) -> list[ToolCall]:
        """The calls between two markers. Raises whatever the model's reader does."""
        return [_tool_call(call) for call in found_calls(self._parse(text))]

    def read_truncated(self, text: str) -> list[ToolCall]:
        """The calls of a text that max_tokens ended before its end marker."""
        return [_tool_call(call) for call in read_truncated_calls(text, self._parse, self._names)]


def _tool_call(call: FoundCall) -> ToolCall:
    return ToolCall(
        id=call.id or f"call_{secrets.token_hex(12)}",
        name=call.name,
        arguments=call.arguments,
        cut=call.truncated,
    )
