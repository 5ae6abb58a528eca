"""What is to be made of which documents."""

import hashlib
from pathlib import Path

import msgspec

from ingest.collections.fingerprint import Fingerprint
from ingest.collections.layout import Kind
from ingest.documents.source import FileVersion
from ingest.documents.wants import RenderBudget
from jobs.models import ModelInfo

IMAGE_PIXELS = 768 * 28 * 28
"""Of a model that does not say how many it reads: an A4 page at 100 dots per inch."""


class DocumentWork(msgspec.Struct, frozen=True):
    """A document to be read."""

    document: str
    """SHA-256 of its content, in hex."""
    path: Path
    """Where it is read."""
    paths: tuple[str, ...]
    """Where it lies, as the collection tells it."""
    kinds: tuple[Kind, ...]
    """Of which something is missing."""
    passwords: tuple[str, ...] = ()
    version: FileVersion | None = None
    """What the file was when it was hashed. None: whatever it is."""


class Target(msgspec.Struct, frozen=True):
    """One half of a collection, and what fills it."""

    kind: Kind
    model: ModelInfo
    fingerprint: Fingerprint
    budget: RenderBudget = RenderBudget(IMAGE_PIXELS)
    """Of visual pages."""


def work_key(target: Target, work: DocumentWork, first: int, *contents: str) -> str:
    """Stands for a job: the same whenever this is ingested with this model and these settings.

    first: number of its page or first chunk. contents: what is embedded, or its digests.
    """
    parts = (target.kind, target.fingerprint.key, work.document, f"{first}", *contents)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def visual_target(model: ModelInfo) -> Target:
    """Pages as images. model: a multi-vector one with vision."""
    budget = RenderBudget(
        model.image_pixels or IMAGE_PIXELS, model.image_multiple or 1, model.image_edge or None
    )
    made_by = f"pages of {budget.max_pixels} pixels"
    return Target("visual", model, Fingerprint(model.id, model.digest, made_by), budget)


def text_target(model: ModelInfo, max_tokens: int, overlap: int, title_tokens: int) -> Target:
    """Chunks of text. max_tokens: of a chunk. overlap: tokens that it shares with the one before. title_tokens: that
    are for the heading above it.
    """
    made_by = f"chunks of {max_tokens} tokens, {overlap} of them shared, {title_tokens} for the heading"
    return Target("text", model, Fingerprint(model.id, model.digest, made_by))
