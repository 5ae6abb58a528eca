"""The tensors of a folder's safetensors files, as the files' headers tell them: no weight is read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

_HEADER_LENGTH_BYTES = 8


class Tensor(NamedTuple):
    """Where a tensor is and what."""

    dtype: str
    """As safetensors names it: F32, BF16, U32, …"""
    shape: tuple[int, ...]
    file: Path
    at: int
    """Where its bytes begin in the file."""
    size_bytes: int


def tensors_in(folder: Path) -> dict[str, Tensor]:
    """By name, of all files together. Raises OSError, and ValueError for what is no safetensors file."""
    found: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        start, header = _header(file)
        for name, each in header.items():
            if name != "__metadata__":
                first, last = each["data_offsets"]
                found[name] = Tensor(each["dtype"], tuple(each["shape"]), file, start + first, last - first)
    return found


def _header(file: Path) -> tuple[int, Mapping[str, Any]]:
    """Where the tensors' bytes begin, and the header (https://huggingface.co/docs/safetensors)."""
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(_HEADER_LENGTH_BYTES), "little")
        if not 0 < length <= file.stat().st_size:
            raise ValueError(f"{file} has no header")
        header = json.loads(opened.read(length))
    return _HEADER_LENGTH_BYTES + length, header
