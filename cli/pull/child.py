"""The process that pulls, as its parent sees it."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator, Sequence

import msgspec

from cli.configuration import child_environ
from jobs.machines.commands import Progress, decode_line
from jobs.process.parent_watch import ParentPipe
from jobs.settings import Settings
from workers.host.pull_process import PROGRAM
from workers.openblas.preload import preload_openblas
from workers.supervisor import cause_of_end

STOP_S = 10.0
"""A pull that is told to end does so in less."""


class PullProcess:
    """Iterate over it for what it tells. It ends with its parent."""

    def __init__(self, settings: Settings, arguments: Sequence[str], *, computes: bool) -> None:
        """arguments: of `python -m workers.pull`. computes: with MLX."""
        environ = child_environ(settings)
        self._pipe = ParentPipe()
        # A session of its own: Ctrl-C is ours, and we tell it.
        self._process = subprocess.Popen(
            [*PROGRAM, "--parent-fd", str(self._pipe.read_fd), *arguments],
            env=preload_openblas(environ) if computes else environ,
            pass_fds=(self._pipe.read_fd,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def __iter__(self) -> Iterator[Progress]:
        """Ends after the last one; one with an error takes its place where the process ended without it."""
        last: Progress | None = None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(msgspec.DecodeError):
                last = decode_line(line)
                yield last
        code = self._process.wait()
        if last is None or not last.is_last:
            yield Progress(
                error=f"The process that pulls ended without a word ({cause_of_end(code)}).",
                code="process_lost",
                hint="Pull again: it goes on where it was.",
            )

    def cancel(self) -> None:
        """What it tells then is still to be read."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)

    def close(self) -> None:
        """Ends it, whatever it does."""
        self.cancel()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._pipe.close()
