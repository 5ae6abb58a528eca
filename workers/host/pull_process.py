"""A pull runs in a process of its own: `python -m workers.pull`. It may take hours, and much memory to convert."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence

import msgspec

from jobs.errors import InternalError, JobCanceled
from jobs.machines.commands import Progress, PullModel, decode_line
from workers.openblas.preload import preload_openblas

log = logging.getLogger(__name__)

END_S = 5.0
"""A pull that is cancelled gets so long to end by itself."""

CANCELLED = Progress(
    error="The pull was cancelled. What is downloaded stays for the next try.", code=JobCanceled.code
)

PROGRAM = (sys.executable, "-P", "-m", "workers.pull")

_LINE_BYTES = 1 << 20


def pull_arguments(command: PullModel) -> list[str]:
    """As `mlxq pull` takes them."""
    options = {
        "--as": command.name,
        "--type": command.kind or "",
        "--quantize": command.quantise,
        "--revision": command.revision,
    }
    given = [f"{option}={value}" for option, value in options.items() if value]
    return ["--from-hub", *given, "--", command.source]


class PullProcess:
    """One pull, while it runs."""

    def __init__(
        self, command: PullModel, environ: Mapping[str, str], parent_fd: int, program: Sequence[str] = PROGRAM
    ) -> None:
        """environ: the child's. parent_fd: see ParentPipe; the child ends with us. program: is given the arguments."""
        self._command = command
        self._program = program
        self._environ = environ
        self._parent_fd = parent_fd
        self._process: asyncio.subprocess.Process | None = None
        self._cancelled = False

    async def run(self) -> AsyncGenerator[Progress]:
        """What the child says. The last one ends the command, whatever becomes of the child.

        Raises OSError and ValueError where it cannot be started or its output cannot be read.
        """
        environ = self._environ
        if self._command.quantise:  # with MLX
            environ = await asyncio.to_thread(preload_openblas, environ)
        self._process = process = await asyncio.create_subprocess_exec(
            *self._program,
            "--parent-fd",
            f"{self._parent_fd}",
            *pull_arguments(self._command),
            env=environ,
            pass_fds=(self._parent_fd,),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=_LINE_BYTES,
        )
        assert process.stdout is not None
        last = Progress()
        files: dict[str, tuple[int, int]] = {}
        try:
            if self._cancelled:  # while it was being started
                self.cancel()
            async for line in process.stdout:
                try:
                    last = decode_line(line)
                except (msgspec.MsgspecError, UnicodeError):
                    log.warning(
                        "a pull wrote a line that is no JSON",
                        extra={"line": line[:200].decode(errors="replace")},
                    )
                    continue
                if last.digest:
                    files[last.digest] = last.completed or 0, last.total or 0
                if not last.is_last:
                    yield msgspec.structs.replace(last, files=files.copy())
            code = await process.wait()
        finally:
            await self._end()
        if self._cancelled:
            yield CANCELLED
        elif last.is_last:
            yield last
        else:
            yield Progress(
                error=f"The pull ended unexpectedly (exit code {code}): the server's log says more.",
                hint="Pull again: what is downloaded stays.",
                code=InternalError.code,
            )

    def cancel(self) -> None:
        """End it: `run` ends within END_S."""
        self._cancelled = True
        if self._process is not None and self._process.returncode is None:
            self._signal(signal.SIGINT)
            asyncio.get_running_loop().call_later(END_S, self._signal, signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _end(self) -> None:
        """No child is left behind."""
        if self._process is None or self._process.returncode is not None:
            return
        self._signal(signal.SIGINT)
        try:
            async with asyncio.timeout(END_S):
                await self._process.wait()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self._process.wait()
