"""/api/pull: a model comes onto a machine, told line by line."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Annotated, Literal

import msgspec
from fastapi import FastAPI
from msgspec import UNSET, UnsetType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.dialects.dialect import Dialect, json_response
from api.dialects.ollama.chat import OLLAMA_ERRORS, OllamaError
from api.dialects.ollama.show import model_named
from api.errors import BodyTooLarge, known_error
from api.openapi.operation import ASKS, Operation, Stream
from api.requests.body import decode_body
from api.requests.parameters import NoEffect
from api.route import add_route
from api.work.perform import CancelOnDisconnect
from jobs.catalogue.entry import Kind
from jobs.catalogue.names import checked_name, without_latest
from jobs.errors import InvalidInput, NoWorker, Overloaded, UnknownModel
from jobs.machines.choosing import chosen_machines
from jobs.machines.commands import CancelPull, HubUnavailable, Progress, PullModel, PullRefused
from jobs.machines.machines import Machines, machine_id

DIGEST_CHARACTERS = 12
SHOWN_CHARACTERS = 100
_REVISION = re.compile(r"(?!.*\.\.)[^\x00-\x20\x7f~^:?*\[\\]{1,255}")
"""A branch, a tag or a commit, as git lets them be called."""


class OllamaPullRequest(msgspec.Struct, frozen=True):
    """The first four fields are Ollama's."""

    model: str = ""
    """ORGANISATION/NAME on Hugging Face."""
    name: str = ""
    """An older name of `model`."""
    stream: bool = True
    insecure: Annotated[bool, NoEffect("the hub's address says whether it is encrypted")] = False
    rename: str = ""
    """What the model will be called. Empty: as it is."""
    type: Kind | None = None
    quantize: Literal["", "4", "6", "8", "mxfp4", "nvfp4"] = ""
    revision: str = ""
    on: str = ""
    """A machine, a worker on it, or "all". Empty: the server's own machine, if it serves models."""


class OllamaProgress(msgspec.Struct, frozen=True):
    """A line. The last one has the status "success", or is an OllamaError."""

    status: str
    digest: str | UnsetType = UNSET
    total: int | UnsetType = UNSET
    """Bytes of a file."""
    completed: int | UnsetType = UNSET
    figures: dict[str, float] | UnsetType = UNSET
    """How far a quantised model agrees with the full one."""
    machine: str | UnsetType = UNSET
    """Which one, where several pull."""


_PULL = Operation(
    "POST",
    "ollama",
    {200: (OllamaProgress,)},
    (InvalidInput, UnknownModel, PullRefused, HubUnavailable, NoWorker, Overloaded, BodyTooLarge, *ASKS),
    body=(OllamaPullRequest,),
    example={"model": "mlx-community/Qwen3-0.6B-4bit", "stream": False},
    stream=Stream(
        "application/x-ndjson",
        OllamaProgress,
        "Unless `stream` is false: an OllamaProgress a line, or, after an error in their midst, an OllamaError.",
    ),
)
_decoder = msgspec.json.Decoder(OllamaPullRequest)


class OllamaPull(Dialect):
    """/api/pull."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/api/pull", self.ollama_pull, _PULL, OLLAMA_ERRORS)

    async def ollama_pull(self, request: Request) -> Response:
        """Bring a model onto a machine.

        A caller that disconnects ends the pull, unless others follow it. What was downloaded is kept.
        """
        asked = decode_body(_decoder, await self.read_raw(request))
        check_names(asked)
        machines = self.context.queue.machines
        targets = chosen_machines(await machines.live(), asked.on, machine_id(self.context.settings.data))
        pulls = Pulls(machines, [each.id for each in targets], asked)
        await pulls.begin()
        if asked.stream:
            return PullResponse(pulls)
        with CancelOnDisconnect(request):
            async with pulls.canceled_on_error():
                async for _ in pulls.lines():
                    pass
        return json_response(msgspec.json.encode(OllamaProgress("success")))


def check_names(asked: OllamaPullRequest) -> None:
    """Raises InvalidInput for what can be no name on the hub, and what can be none here."""
    # With it comes an HTTP client that this process needs for nothing else.
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    model = model_named(asked.model, asked.name)
    try:
        validate_repo_id(without_latest(model))
    except HFValidationError as error:
        raise InvalidInput(
            f"{model[:SHOWN_CHARACTERS]!r} is no name on the model hub: give ORGANISATION/NAME. Folders are not taken "
            "from here: on the machine that has it, `mlxq pull FOLDER`.",
            param="model",
        ) from error
    if asked.revision and not _REVISION.fullmatch(asked.revision):
        raise InvalidInput(
            f"{asked.revision[:SHOWN_CHARACTERS]!r} is no branch, tag or commit.", param="revision"
        )
    try:
        if asked.rename:
            checked_name(asked.rename)
    except ValueError as error:
        raise InvalidInput(f"{error}", param="rename") from error


class Pulls:
    """One model on one or several machines."""

    def __init__(self, machines: Machines, targets: Sequence[str], asked: OllamaPullRequest) -> None:
        self._machines = machines
        self._commands = {
            target: PullModel(
                source=asked.model or asked.name,
                name=asked.rename,
                kind=asked.type,
                quantise=asked.quantize,
                revision=asked.revision,
            )
            for target in targets
        }

    async def begin(self) -> None:
        """Tell the machines. Raises QueueUnavailable."""
        for machine, command in self._commands.items():
            await self._machines.send(machine, command)

    async def cancel(self) -> None:
        """Tell the machines that nobody here follows any more."""
        for machine, command in self._commands.items():
            await self._machines.send(machine, CancelPull(command=command.id))

    @contextlib.asynccontextmanager
    async def canceled_on_error(self) -> AsyncGenerator[None]:
        """The pulls are ended where the block is: by its caller, who left, or by a server that stops."""
        try:
            yield
        except ClientDisconnect:
            await self.cancel()
            raise
        except asyncio.CancelledError:
            await asyncio.shield(self.cancel())
            raise

    async def lines(self) -> AsyncGenerator[OllamaProgress]:
        """Of all machines as they come; "success" when all are done. Raises the first failure when all are done."""
        said: asyncio.Queue[OllamaProgress | None] = asyncio.Queue()
        following = [
            asyncio.create_task(self._follow(machine, command.id, said))
            for machine, command in self._commands.items()
        ]
        try:
            running = len(following)
            while running:
                line = await said.get()
                if line is None:
                    running -= 1
                else:
                    yield line
            for task in following:
                await task
            yield OllamaProgress("success")
        finally:
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)

    async def _follow(self, machine: str, command: str, said: asyncio.Queue[OllamaProgress | None]) -> None:
        """Raises JobError."""
        shown = machine if len(self._commands) > 1 else UNSET
        before = Progress()
        try:
            async with contextlib.aclosing(self._machines.follow(machine, command)) as updates:
                async for progress in updates:
                    for line in lines_between(before, progress):
                        said.put_nowait(msgspec.structs.replace(line, machine=shown))
                    before = progress
        finally:
            said.put_nowait(None)
        if before.error:
            raise before.failure()


def lines_between(before: Progress, now: Progress) -> Iterator[OllamaProgress]:
    """What has changed: a line for each file, and what is done else. The end is no line."""
    for digest, (completed, total) in now.files.items():
        if before.files.get(digest) != (completed, total):
            short = digest.partition(":")[2][:DIGEST_CHARACTERS]
            yield OllamaProgress(f"pulling {short}", digest, total, completed)
    if not now.digest and not now.is_last and now.status and now.status != before.status:
        yield OllamaProgress(now.status, figures=now.figures or UNSET)


class PullResponse(Response):
    """200, and a line whenever there is one. A failure after that is a line, too."""

    def __init__(self, pulls: Pulls) -> None:
        super().__init__()
        self._pulls = pulls
        self.raw_headers = [
            (b"content-type", b"application/x-ndjson"),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        with contextlib.suppress(ClientDisconnect):
            async with self._pulls.canceled_on_error():
                with CancelOnDisconnect(request):
                    await self._answer(request, send)

    async def _answer(self, request: Request, send: Send) -> None:
        """Raises ClientDisconnect."""
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with contextlib.aclosing(self._lines(request)) as lines:
                async for line in lines:
                    await send({"type": "http.response.body", "body": line + b"\n", "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except OSError as error:  # of send: those of the pulls are lines
            raise ClientDisconnect from error

    async def _lines(self, request: Request) -> AsyncGenerator[bytes]:
        try:
            async with contextlib.aclosing(self._pulls.lines()) as lines:
                async for line in lines:
                    yield msgspec.json.encode(line)
        except Exception as error:  # noqa: BLE001 - the edge of a request whose status is sent already
            yield msgspec.json.encode(OllamaError(known_error(error, request).message))
