"""Who is told what of an ingest: a terminal, a log, a program, or nobody."""

import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from cli.ingest.display.progress_line import progress_line
from cli.ingest.display.summary import Preview, Summary, preview_lines, problem_line, summary_lines
from ingest.manifest.records import ProblemRecord
from jobs.ingests.run import RunProgress
from jobs.process.colour import paint

LOGGED_EVERY_S = 30.0
"""Where no line can be rewritten."""

MAX_PROBLEMS = 20
"""That are told as they come; the summary has the others."""


class Reporter(Protocol):
    """Told by one thread."""

    def progress(self, progress: RunProgress) -> None:
        """Twice a second or so."""
        ...

    def note(self, text: str) -> None:
        """A sentence for people."""
        ...

    def problem(self, problem: ProblemRecord) -> None:
        """As soon as it is known."""
        ...

    def preview(self, would: Preview) -> None:
        """What would be done."""
        ...

    def summary(self, done: Summary, problems: Sequence[ProblemRecord]) -> None:
        """At the end."""
        ...

    def clear(self) -> None:
        """Somebody else writes to the terminal now."""
        ...


class TerminalReporter:
    """Rewrites one line on stderr; what stays goes to stdout, problems to stderr."""

    def __init__(self) -> None:
        self._shows = False
        self._problems = 0

    def progress(self, progress: RunProgress) -> None:
        width = shutil.get_terminal_size().columns - 1  # a full line would be followed by an empty one
        sys.stderr.write(f"\r{progress_line(progress, width)}\x1b[K")
        sys.stderr.flush()
        self._shows = True

    def note(self, text: str) -> None:
        self.clear()
        print(text, flush=True)

    def problem(self, problem: ProblemRecord) -> None:
        self._problems += 1
        if self._problems > MAX_PROBLEMS:
            return
        self.clear()
        colour = "yellow" if problem.is_warning else "red"
        print(f"{paint('!', colour, sys.stderr)} {problem_line(problem)}", file=sys.stderr, flush=True)

    def preview(self, would: Preview) -> None:
        self.note("\n".join(preview_lines(would)))

    def summary(self, done: Summary, problems: Sequence[ProblemRecord]) -> None:
        told_already = self._problems if self._problems <= MAX_PROBLEMS else 0
        self.note("\n".join(summary_lines(done, () if told_already else problems)))

    def clear(self) -> None:
        if self._shows:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
        self._shows = False


class LogReporter:
    """A line now and then on stderr, for a file or a pipe."""

    def __init__(self) -> None:
        self._told_at = time.monotonic()
        self._terminal = TerminalReporter()
        self.note, self.problem = self._terminal.note, self._terminal.problem
        self.preview, self.summary = self._terminal.preview, self._terminal.summary

    def progress(self, progress: RunProgress) -> None:
        if time.monotonic() - self._told_at >= LOGGED_EVERY_S:
            self._told_at = time.monotonic()
            print(progress_line(progress, width=1000), file=sys.stderr, flush=True)

    def clear(self) -> None:
        pass


class QuietReporter:
    """Says nothing; the exit code does. What must be asked or known is still said on stderr."""

    def progress(self, progress: RunProgress) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def problem(self, problem: ProblemRecord) -> None:
        pass

    def preview(self, would: Preview) -> None:
        pass

    def summary(self, done: Summary, problems: Sequence[ProblemRecord]) -> None:
        pass

    def clear(self) -> None:
        pass


class JsonReporter:
    """A JSON object on each line of stdout; its "event" says which."""

    def progress(self, progress: RunProgress) -> None:
        self._tell("progress", progress)

    def note(self, text: str) -> None:
        self._tell("note", {"text": text})

    def problem(self, problem: ProblemRecord) -> None:
        self._tell("problem", problem)

    def preview(self, would: Preview) -> None:
        self._tell("preview", would)

    def summary(self, done: Summary, problems: Sequence[ProblemRecord]) -> None:
        self._tell("summary", {**msgspec.to_builtins(done), "exit_code": done.exit_code})

    def clear(self) -> None:
        pass

    def _tell(self, event: str, about: Any) -> None:
        line = {"event": event, "time": time.time(), **msgspec.to_builtins(about)}
        print(msgspec.json.encode(line).decode(), flush=True)


def reporter_for(*, quiet: bool, json: bool) -> Reporter:
    """For what stderr is."""
    if json:
        return JsonReporter()
    if quiet:
        return QuietReporter()
    return TerminalReporter() if sys.stderr.isatty() else LogReporter()
