"""How texts are parted for a model: by its own tokenizer, which lies on this machine beside its weights."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tokenizers import Tokenizer

from cli.cannot_do import CannotDo
from ingest.text.chunker import Chunker
from jobs.errors import JobError
from jobs.models import ModelInfo
from workers.models.resolve import LocalModel, resolve

MAX_TOKENS = 512
"""Of a chunk: about a page. Longer ones say too many things at once to be found by one."""

SHARED = 8
"""A chunk has one part in so many in common with the one before it."""


TITLE = 8
"""One part in so many is for the heading above it."""


class ChunkSize(NamedTuple):
    """In tokens."""

    max_tokens: int
    overlap: int
    title_tokens: int


def chunk_size(model: ModelInfo) -> ChunkSize:
    """As long as the model reads, within reason."""
    most = min(model.max_tokens or MAX_TOKENS, MAX_TOKENS)
    return ChunkSize(most, most // SHARED, most // TITLE)


def chunker_for(model: ModelInfo, specs: Sequence[str]) -> Chunker:
    """specs: of models, as `mlxq up --model` takes them; the model may be one of them. Raises: CannotDo."""
    folder = _folder(model, specs)
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:
        raise CannotDo(
            f"The tokenizer of {model.id} in {folder} cannot be read: {error}. Texts are parted by it."
        ) from error
    return Chunker(tokenizer, *chunk_size(model))


def _folder(model: ModelInfo, specs: Sequence[str]) -> Path:
    for spec in (*specs, model.id, model.hub_name):
        try:
            found = resolve(spec) if spec else None
        except (JobError, OSError, json.JSONDecodeError):
            continue
        if found is not None and _is(found, model):
            return found.folder
    raise CannotDo(
        f"The tokenizer of {model.id} is not on this machine, and texts are parted by it. Say where its folder is: "
        f"--model {model.id}=FOLDER. (Its tokenizer.json is enough, with its config.json.)"
    )


def _is(found: LocalModel, model: ModelInfo) -> bool:
    return found.id == model.id or bool(model.hub_name and found.hub_name == model.hub_name)
