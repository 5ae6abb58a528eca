"""What made the golden files."""

import json
import platform
from collections.abc import Sequence
from importlib.metadata import version

from tests.support.folders import GOLDEN


def write_versions(file: str, packages: Sequence[str]) -> None:
    found = {"python": platform.python_version(), **{name: version(name) for name in packages}}
    (GOLDEN / file).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
