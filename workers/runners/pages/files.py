"""What the files of models that look at pictures have in common, whoever wrote them."""

from pathlib import Path
from typing import Any

from workers.runners.folder import read_json


def processor_of(folder: Path) -> dict[str, Any]:
    """What the image processor needs; newer transformers write it into the processor's file."""
    own = read_json(folder / "preprocessor_config.json")
    return {**own, **(read_json(folder / "processor_config.json").get("image_processor") or {})}
