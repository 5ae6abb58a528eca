"""What the files of multi-vector models have in common, whoever wrote them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workers.runners.folder import read_json

Renaming = Sequence[tuple[re.Pattern[str], str]]


def renamed(named: dict[str, Any], renaming: Renaming, unused: re.Pattern[str]) -> dict[str, Any]:
    """Whatever has weights' names, with the network's own; unknown ones stay as they are."""
    found: dict[str, Any] = {}
    for name, value in named.items():
        if not unused.search(name):
            for pattern, ours in renaming:
                name, hits = pattern.subn(ours, name)
                if hits:
                    break
            found[name] = value
    return found


def processor_of(folder: Path) -> dict[str, Any]:
    """What the image processor needs; newer transformers write it into the processor's file."""
    own = read_json(folder / "preprocessor_config.json")
    return {**own, **(read_json(folder / "processor_config.json").get("image_processor") or {})}
