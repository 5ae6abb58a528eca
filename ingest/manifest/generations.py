"""Generations of a half of a collection (ingest/collections/generations.py), as the manifest has them: a later one is a
kind of its own, KIND@GENERATION, until it takes the place of the one before.
"""

from ingest.manifest.database import Database


def half_of(kind: str, generation: str) -> str:
    """What the manifest calls it while another one is searched."""
    return f"{kind}@{generation}"


def kind_of(half: str) -> str:
    """visual or text."""
    return half.partition("@")[0]


class GenerationRecords:
    """Any thread may call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def promote(self, collection: str, kind: str, generation: str) -> bool:
        """After the store has switched: it takes the place of the one that was searched. False: it did already."""
        half = half_of(kind, generation)
        with self._database.transaction():
            if not self._is_there(collection, half):
                return False
            self._database.write("DELETE FROM targets WHERE collection = ? AND kind = ?", collection, kind)
            self._database.write(
                "UPDATE targets SET kind = ? WHERE collection = ? AND kind = ?", kind, collection, half
            )
            return True

    def forget_others(self, collection: str, kind: str) -> None:
        """After the store has removed all but the one that is searched."""
        self._database.write(
            "DELETE FROM targets WHERE collection = ? AND kind LIKE ?", collection, half_of(kind, "%")
        )

    def _is_there(self, collection: str, half: str) -> bool:
        query = "SELECT 1 FROM targets WHERE collection = ? AND kind = ?"
        return bool(self._database.read(query, collection, half))
