"""The problems of a collection as lines of JSON, for programs and for people with grep."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec

from ingest.manifest.records import ProblemRecord


def problems_path(folder: Path, collection: str) -> Path:
    """folder: the manifest's."""
    return folder / f"{quote(collection, safe=' ')}.errors.jsonl"


def write_problems(path: Path, problems: Sequence[ProblemRecord]) -> None:
    """Another process reads the old ones or the new ones, never half of them."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in problems))
    os.replace(new, path)
