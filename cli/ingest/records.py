"""What an ingest writes down."""

from typing import NamedTuple

from ingest.manifest.database import Database
from ingest.manifest.generations import GenerationRecords
from ingest.manifest.manifest import Manifest
from ingest.manifest.paths import PathRecords
from ingest.manifest.runs import RunRecords


class Records(NamedTuple):
    """All of it lies in one database."""

    database: Database
    manifest: Manifest
    paths: PathRecords
    runs: RunRecords
    generations: GenerationRecords

    @classmethod
    def of(cls, database: Database) -> "Records":
        return cls(
            database,
            Manifest(database),
            PathRecords(database),
            RunRecords(database),
            GenerationRecords(database),
        )
