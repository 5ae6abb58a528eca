"""Which models a worker opens for a catalogue."""

from pathlib import Path

from jobs.catalogue.entry import Catalogue, CatalogueEntry
from workers.models.resolve import LocalModel
from workers.roster.roster import models_of


def entry(name: str, **more: str) -> CatalogueEntry:
    return CatalogueEntry(name=name, created_at=1, modified_at=1, **more)  # pyright: ignore[reportArgumentType]


def test_entries_with_files_of_their_own_are_opened():
    catalogue = Catalogue(
        1,
        (
            entry("base", folder="/base", task="embed"),
            entry("alias", of="base"),
            entry("tuned", of="BASE:latest", adapter="/lora"),
            entry("fast", folder="/big", draft="/small"),
            entry("lost", of="gone", adapter="/lora"),
            entry("MiniLM:latest", folder="/other"),
        ),
    )

    assert models_of(catalogue, {"minilm"}) == {
        "base": LocalModel("base", Path("/base"), task="embed"),
        "tuned": LocalModel("tuned", Path("/base"), adapter=Path("/lora")),
        "fast": LocalModel("fast", Path("/big"), draft=Path("/small")),
    }
