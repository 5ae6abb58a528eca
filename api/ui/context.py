"""What all pages work with."""

from typing import NamedTuple

from api.requests.body import BodiesInFlight
from api.requests.images import ImageSource
from api.ui.layout import Layout
from api.work.queue import Queue
from jobs.blobs.store import BlobStore
from jobs.ingests.ingests import Ingests
from jobs.search.collections import Collections
from jobs.settings import Settings


class ConsoleParts(NamedTuple):
    """What only the console needs."""

    ingests: Ingests
    blobs: BlobStore
    """Where images to search with are kept."""


class Collaborators(NamedTuple):
    """Who does what the pages show."""

    queue: Queue
    settings: Settings
    images: ImageSource | None
    """Checks images that are uploaded. None: nothing is checked."""
    bodies: BodiesInFlight
    collections: Collections
    ingests: Ingests
    blobs: BlobStore
    """Where images to search with are kept."""


class Context(NamedTuple):
    """The collaborators, and the layout."""

    layout: Layout
    by: Collaborators
