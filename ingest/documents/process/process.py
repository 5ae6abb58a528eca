"""A reading process, as its parent holds it."""

import asyncio
import contextlib
import os
import signal
import sys

import msgspec

from ingest.documents.problem import ProblemKind
from ingest.documents.process.messages import LENGTH, OUT_OF_MEMORY_EXIT, READY, Reply, Request
from ingest.documents.process.shared_memory import SharedMemory, create_shared_file

START_S = 120
"""In which a process must have loaded its libraries. It takes 0.3 s of a core; others may have it."""


class ProcessLost(Exception):
    """The process is gone, by what it was asked last: the message says how."""

    def __init__(self, kind: ProblemKind, message: str) -> None:
        super().__init__(message)
        self.kind: ProblemKind = kind


class ReadingUnavailable(Exception):
    """No process can be started; it has said on stderr why."""


class ReadingProcess:
    """Started when it is first asked, and again when it was lost. Its answers come in the order of the requests."""

    def __init__(self, parent_fd: int, *, timeout_s: float, memory_limit_bytes: int) -> None:
        """parent_fd: of a ParentPipe. timeout_s: for one answer. memory_limit_bytes: of the process."""
        self._parent_fd = parent_fd
        self._timeout_s = timeout_s
        self._memory_limit_bytes = memory_limit_bytes
        self._shared_file = create_shared_file()
        self._process: asyncio.subprocess.Process | None = None
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Reply)
        self._length: int | None = None
        self.memory = SharedMemory(self._shared_file)
        self.outstanding = 0
        """Requests that are not answered yet."""

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process else None

    async def ask(self, request: Request) -> Reply:
        """Raises: ProcessLost, ReadingUnavailable."""
        await self.send(request)
        return await self.receive()

    async def send(self, request: Request) -> None:
        """Raises: ReadingUnavailable. A process that is lost is noticed by `receive`."""
        if self._process is None:
            self._process = await self._start()
        body = self._encoder.encode(request)
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(LENGTH.pack(len(body)) + body)
        self.outstanding += 1

    async def receive(self) -> Reply:
        """The answer to the oldest request. Raises: ProcessLost, upon which no request is outstanding."""
        assert self._process is not None
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await self._next_reply(self._process)
        except TimeoutError as error:
            await self.kill()
            what = f"It took longer than {self._timeout_s:g} s, so its process was ended."
            raise ProcessLost("timeout", what) from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise self._lost(await self._ended()) from error
        self.outstanding -= 1
        return reply

    async def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            _kill(self._process)
            await self._ended()

    async def aclose(self) -> None:
        """For good."""
        await self.kill()
        os.close(self._shared_file)

    async def _start(self) -> asyncio.subprocess.Process:
        """Raises: ReadingUnavailable."""
        options = {
            "--parent-fd": self._parent_fd,
            "--memory-fd": self._shared_file,
            "--memory-limit": self._memory_limit_bytes,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "ingest.documents.process",
            *(word for name, value in options.items() for word in (name, f"{value}")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(self._parent_fd, self._shared_file),
            start_new_session=True,  # the terminal's Ctrl-C does not reach it
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # numpy's would take memory, and compute nothing
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                await process.stdout.readexactly(len(READY))
        except BaseException as error:
            _kill(process)
            if not isinstance(error, TimeoutError | asyncio.IncompleteReadError):
                raise
            code = await process.wait()
            raise ReadingUnavailable(f"The process that reads documents does not start ({code}).") from error
        return process

    async def _next_reply(self, process: asyncio.subprocess.Process) -> Reply:
        """A cancel between the two reads loses nothing: the length is kept."""
        assert process.stdout is not None
        if self._length is None:
            self._length = int(LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))[0])
        body = await process.stdout.readexactly(self._length)
        self._length = None
        return self._decoder.decode(body)

    async def _ended(self) -> int:
        """Its exit code, once it has ended."""
        assert self._process is not None
        process, self._process = self._process, None
        self.outstanding, self._length = 0, None
        code = await process.wait()
        if process.stdin is not None:
            process.stdin.close()
        return code

    def _lost(self, code: int) -> ProcessLost:
        if code == OUT_OF_MEMORY_EXIT:
            limit = f"{self._memory_limit_bytes / (1 << 30):g} GiB"
            return ProcessLost(
                "out_of_memory", f"It takes more than {limit} of memory, so its process was ended."
            )
        if code == -signal.SIGKILL:
            what = "Its process was killed, perhaps because the machine ran out of memory. Ingest it again."
            return ProcessLost("crashed", what)
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return ProcessLost("crashed", f"It brings the library that reads it down ({name}).")


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
