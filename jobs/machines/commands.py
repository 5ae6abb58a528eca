"""What a machine can be told to do with its models, and what it tells of it."""

from typing import Literal

import msgspec

from jobs.catalogue.defaults import ModelDefaults
from jobs.catalogue.entry import Kind
from jobs.errors import Failure, InternalError, InvalidInput, JobError, UnknownModel
from jobs.store.record import new_id


class _Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str = msgspec.field(default_factory=new_id)
    """Its progress is found by it."""


class PullModel(_Command, frozen=True, kw_only=True, omit_defaults=True, tag="pull"):
    """Download a model. It may take hours."""

    source: str
    """ORGANISATION/NAME on the hub. Folders of the machine are none of a caller's business."""
    name: str = ""
    """What it will be called. Empty: as its source."""
    kind: Kind | None = None
    quantise: Literal["", "4", "6", "8", "mxfp4", "nvfp4"] = ""
    revision: str = ""


class RemoveModel(_Command, frozen=True, kw_only=True, omit_defaults=True, tag="remove"):
    """Forget a model or an alias, and delete its files where mlxq put them there and nothing else needs them."""

    name: str


class CopyModel(_Command, frozen=True, kw_only=True, omit_defaults=True, tag="copy"):
    """Give a model another name. No file is copied."""

    source: str
    name: str


class CreateModel(_Command, frozen=True, kw_only=True, omit_defaults=True, tag="create"):
    """Make an alias with defaults of its own."""

    name: str
    source: str
    """The model that it is made from."""
    defaults: ModelDefaults = ModelDefaults()
    """Beneath them are those of the source."""
    template: str = ""
    license: str = ""


class CancelPull(_Command, frozen=True, kw_only=True, omit_defaults=True, tag="cancel"):
    """End a pull. What is downloaded stays for the next try."""

    command: str
    """Of the PullModel."""


Command = PullModel | RemoveModel | CopyModel | CreateModel | CancelPull


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a command is, by Ollama's words. `python -m workers.pull` writes one a line, as JSON."""

    status: str = ""
    """"success" at the end of one that went well."""
    digest: str = ""
    """Of the file that is being downloaded, as sha256:… or git:…"""
    file: str = ""
    """Its path in the repository."""
    total: int | None = None
    """Bytes of that file, or of all."""
    completed: int | None = None
    files: dict[str, tuple[int, int]] = {}
    """Of each file that was told of so far, by its digest: bytes that are there, and all of its bytes. A reader that
    looks now and then misses nothing so.
    """
    figures: dict[str, float] = {}
    """How far a quantised model agrees with the full one."""
    name: str = ""
    """What the model is called now: with "success"."""
    error: str = ""
    """What went wrong: ends the command."""
    code: str = ""
    """Of the error: a JobError's, or one of the pull's own, such as gated and offline."""
    hint: str = ""
    """What to do about it."""
    agent: str = ""
    """The id of the agent that wrote it. Who follows a command is not told it."""

    @property
    def is_last(self) -> bool:
        """Whether the command has ended."""
        return bool(self.error) or self.status == "success"

    @property
    def sentence(self) -> str:
        """What went wrong and what to do about it."""
        return f"{self.error} {self.hint}".rstrip()

    def failure(self) -> JobError:
        """The error, where it has one."""
        if self.code in PULL_ERRORS:
            return PULL_ERRORS[self.code](self.sentence)
        return Failure(self.code, self.sentence).error() if self.code else JobError(self.sentence)


class PullRefused(InvalidInput):
    """The model cannot be pulled as it was asked for."""

    code = "pull_refused"


class HubUnavailable(JobError):
    """The model hub cannot be used. Try again later."""

    code = "hub_unavailable"


PULL_ERRORS: dict[str, type[JobError]] = {
    **dict.fromkeys(("not_found", "no_revision"), UnknownModel),
    **dict.fromkeys(("offline", "hub_down", "too_many_requests", "hub_refuses"), HubUnavailable),
    **dict.fromkeys(
        (
            "bad_name",
            "cannot_quantise",
            "forbidden",
            "gated",
            "name_taken",
            "needs_code",
            "no_safetensors",
            "no_tokenizer",
            "not_a_model",
            "quantised_already",
            "wrong_type",
        ),
        PullRefused,
    ),
}
"""What the codes of a pull's own mean to a caller. Others are this machine's: its disk, its files."""


def failed(error: JobError) -> Progress:
    """The end of a command that came to this."""
    return Progress(error=error.message, code=error.code)


def interrupted(machine: str) -> Progress:
    """The end of a command whose agent has ended in the midst of it."""
    return Progress(
        error=f"This was interrupted: mlxq was started again on the machine {machine}.",
        hint="Send it again: a pull goes on where it was.",
        code=InternalError.code,
    )


def decode_command(raw: bytes) -> Command:
    """Raises msgspec.MsgspecError."""
    return _decoder.decode(raw)


def decode_line(raw: bytes) -> Progress:
    """Of `python -m workers.pull`. Raises msgspec.MsgspecError."""
    return _line_decoder.decode(raw)


def decode_progress(raw: bytes) -> Progress:
    """Raises msgspec.MsgspecError."""
    return _progress_decoder.decode(raw)


_decoder = msgspec.msgpack.Decoder[Command](Command)
_line_decoder = msgspec.json.Decoder(Progress)
_progress_decoder = msgspec.msgpack.Decoder(Progress)
