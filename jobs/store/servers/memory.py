"""How much memory the Redis that mlxq starts may take."""

import os
from collections.abc import Sequence
from pathlib import Path

SHARE = 0.1
"""Of the machine's memory. Models take 70 % and MLX's cache 5 %; the rest is for prompts and other programs."""

LEAST_BYTES = 256 * 1024**2

_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Of a container: version 2 and version 1 of cgroups."""


def share_bytes() -> int:
    """SHARE of what this machine, or the container that we run in, has."""
    return share_of(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), _LIMITS)


def share_of(machine_bytes: int, limits: Sequence[Path]) -> int:
    """The same, for a machine of that memory and these files with limits, of which any may be missing."""
    found = [machine_bytes, *(int(text) for each in limits if (text := _read(each)).isdigit())]
    return max(LEAST_BYTES, int(SHARE * min(found)))


def _read(path: Path) -> str:
    """What the file says; `max` is no limit."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
