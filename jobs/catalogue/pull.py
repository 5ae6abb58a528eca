"""What is told while a model is pulled, in Ollama's words. It crosses processes as JSON, an object a line."""

import msgspec

SUCCESS = "success"
CANCELED = "canceled"
"""The code of a pull that somebody ended."""


class PullUpdate(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a pull is. The last one has the status "success", or a PullFailed comes instead."""

    status: str
    digest: str = ""
    """Of the file that it is about, as sha256:… or git:…"""
    total: int = 0
    """Bytes: of that file or, with the status "pulling manifest", of all files."""
    completed: int = 0
    """Of those, what is on the machine."""
    file: str = ""
    """Its path in the repository."""
    name: str = ""
    """With "success": under which name it is in the catalogue now."""
    figures: dict[str, float] = {}
    """How far a quantised model agrees with the full one."""


class PullFailed(msgspec.Struct, frozen=True):
    """The last line of a pull that failed."""

    error: str
    """What is wrong and what to do."""
    code: str
    hint: str
    """What to do."""


def decode_line(line: bytes | str) -> PullUpdate | PullFailed:
    """Raises msgspec.DecodeError for what is no line of a pull."""
    try:
        return msgspec.json.decode(line, type=PullUpdate)
    except msgspec.ValidationError:
        return msgspec.json.decode(line, type=PullFailed)
