"""Texts read as an answer's transcript reads them."""

import json
from collections.abc import Mapping, Sequence
from functools import partial

from tokenizers import Tokenizer

from jobs.generate import Piece
from workers.runners.generate.output.segments import (
    NORMAL,
    REASONING,
    TOOL,
    OutputSegments,
    Transitions,
    split_stops,
)
from workers.runners.generate.output.tool_calls import CallReader
from workers.runners.generate.output.transcript import OutputFormat, Transcript

TOOLS: Transitions = {
    NORMAL: [("<think>", REASONING), ("<tool_call>", TOOL)],
    REASONING: [("</think>", NORMAL), ("<tool_call>", TOOL)],
    TOOL: [("</tool_call>", NORMAL)],
}


def output_format_of(
    tokenizer: Tokenizer, transitions: Transitions | None = None, *, stop: Sequence[str] = (), initial: str = NORMAL,
    one_call: bool = False, specials: Mapping[int, str] | None = None,
) -> OutputFormat:  # fmt: skip
    """As a runner makes it. The tools are get_weather, get_time and f."""
    edges = transitions or {NORMAL: []}
    named, others = split_stops(stop, edges, (specials or {}).values())
    reader = CallReader(json.loads, ("get_weather", "get_time", "f"), ("<tool_call>", "</tool_call>"))
    output_format = OutputFormat(
        tokenizer, partial(OutputSegments, edges, initial, named), (), stop=others, specials=specials or {}
    )
    return output_format.with_tools(reader, one_call=one_call)


def write(
    tokenizer: Tokenizer, text: str, *, stop: Sequence[str] = (), transitions: Transitions | None = None,
    initial: str = NORMAL, end: bool = True, one_call: bool = False,
) -> tuple[Transcript, list[Piece]]:  # fmt: skip
    """The transcript of a text that comes byte by byte, and its pieces."""
    output_format = output_format_of(tokenizer, transitions, stop=stop, initial=initial, one_call=one_call)
    return write_ids(output_format, tokenizer.encode(text).ids, end=end)


def write_ids(
    output_format: OutputFormat, ids: Sequence[int], *, end: bool = True
) -> tuple[Transcript, list[Piece]]:
    """end: an end marker comes last; otherwise the length is reached."""
    transcript = Transcript(output_format)
    pieces: list[Piece] = []
    for n, token in enumerate(ids):
        transcript.add(token, "length" if n + 1 == len(ids) and not end else None)
        if piece := transcript.take():
            pieces.append(piece)
    if end:
        transcript.add(0, "stop")
        if piece := transcript.take():
            pieces.append(piece)
    return transcript, pieces
