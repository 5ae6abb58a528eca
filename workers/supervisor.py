"""Keeps one child process alive, and ends it in an orderly way."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

log = logging.getLogger(__name__)

CONFIGURATION_ERROR = 78
"""Exit code (EX_CONFIG of sysexits.h) of a child that would fail again: it has said why, and is not restarted."""

FREQUENT_S = 60


def restart_delay_s(recent_deaths: int) -> float:
    """How long to wait after this many deaths within FREQUENT_S: nothing the first time, then up to five seconds."""
    return 0 if recent_deaths <= 1 else min(5, 0.25 * 2 ** (recent_deaths - 2))


class Supervisor:
    """Runs `command` until told to stop. The child has its own session: the terminal's Ctrl-C does not reach it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        pass_fds: Sequence[int] = (),
        stop_s: float = 30,
        on_death: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        """name: for the log. stop_s: how long a stopped child may take before it is killed. on_death: called with the
        pid of a child that ended in any way but exit code 0; the next one does not wait for it.
        """
        self.name = name
        self._command = command
        self._environ = environ
        self._pass_fds = pass_fds
        self._stop_s = stop_s
        self._stopping = asyncio.Event()
        self._killing = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._on_death = on_death
        self._seeing_to: set[asyncio.Task[None]] = set()

    @property
    def pid(self) -> int | None:
        """Of the child that runs now."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def stop(self) -> None:
        """SIGTERM to the child, once; SIGKILL after stop_s. `run` returns when it has ended."""
        self._stopping.set()

    def kill(self) -> None:
        """SIGKILL to the child at once."""
        self._stopping.set()
        self._killing.set()

    async def run(self) -> int:
        """Returns 0 once stopped, or CONFIGURATION_ERROR if that is how the child ended."""
        try:
            return await self._keep_alive()
        finally:
            await asyncio.gather(*self._seeing_to)

    async def _keep_alive(self) -> int:
        deaths: list[float] = []
        while not self._stopping.is_set():
            code = await self._run_child()
            if code != 0 and self._process is not None:
                self._see_to_death(self._process.pid)
            if self._stopping.is_set():
                break
            if code == CONFIGURATION_ERROR:
                return code
            deaths = [at for at in deaths if at > time.monotonic() - FREQUENT_S] + [time.monotonic()]
            delay_s = restart_delay_s(len(deaths))
            fields = {"child": self.name, "cause": cause_of_end(code), "delay_s": delay_s}
            log.error("a process ended and is started again", extra=fields)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._stopping.wait()
        return 0

    async def _run_child(self) -> int:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environ,
            pass_fds=self._pass_fds,
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        ended = asyncio.create_task(self._process.wait())
        try:
            if await self._first(ended, self._stopping, None):
                return ended.result()
            _send(self._process, signal.SIGTERM)
            if await self._first(ended, self._killing, self._stop_s):
                return ended.result()
            log.error("a process does not stop and is killed", extra={"child": self.name})
        finally:  # also when `run` itself is cancelled: no child is left behind
            _send(self._process, signal.SIGKILL)
        return await ended

    def _see_to_death(self, pid: int) -> None:
        if self._on_death is not None:
            task = asyncio.create_task(_guarded(self._on_death(pid), self.name))
            self._seeing_to.add(task)
            task.add_done_callback(self._seeing_to.discard)

    @staticmethod
    async def _first(ended: asyncio.Task[int], event: asyncio.Event, timeout_s: float | None) -> bool:
        """Waits for either, or the time-out. True if the child has ended."""
        waiting = asyncio.create_task(event.wait())
        await asyncio.wait([ended, waiting], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return ended.done()


async def _guarded(work: Awaitable[None], name: str) -> None:
    try:
        await work
    except Exception:
        log.exception("what was to follow the death of a child failed", extra={"child": name})


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def cause_of_end(code: int) -> str:
    """What a child's exit code says."""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
