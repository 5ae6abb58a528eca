"""A model on its way into memory."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from jobs.errors import InvalidInput, JobError


@dataclass
class Load:
    """A load that is under way."""

    steps: Iterator[None]
    took_s: float = 0.0
    """Without what the device did in between."""
    began_at: float = field(default_factory=time.time)
    """In seconds since the epoch."""
    steps_done: int = 0


def too_large(model: str, weight_bytes: int, budget_bytes: int) -> InvalidInput:
    """The error for a model that can never be loaded here."""
    return InvalidInput(
        f"{model} needs {weight_bytes:,} bytes of memory, and models may take {budget_bytes:,}. Set MLXQ_MODEL_BYTES "
        "to allow more, or serve a smaller or quantised one.",
        param="model",
    )


def gigabytes(size_bytes: int) -> str:
    """Two significant digits, and no fraction from ten on."""
    size = size_bytes / 1e9
    return f"{size:.2g}" if size < 10 else f"{size:.0f}"


def reason(error: Exception) -> str:
    """For the caller; what libraries say may name files of this machine."""
    if isinstance(error, JobError):
        return error.message.rstrip(".")
    return f"{type(error).__name__}, of which the server's log says more"
