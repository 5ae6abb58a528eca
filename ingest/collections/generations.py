"""Generations of a half of a collection: its vectors made anew by another model beside those that are searched.

The first one has the half's own name in Qdrant, later ones are NAME@GENERATION. An alias NAME@current says which one is
searched, and changes in one step. The half's own name becomes an alias, too, as soon as no collection has it.
"""

import hashlib
from collections.abc import Iterable, Mapping

from qdrant_client import QdrantClient, models

from ingest.collections.fingerprint import Fingerprint
from ingest.collections.layout import CURRENT, Kind, parted_name, stored_name


def generation_of(fingerprint: Fingerprint) -> str:
    """The same for the same making, so that an embedding that was interrupted is found again."""
    return hashlib.sha256(fingerprint.key.encode()).hexdigest()[:8]


def searched(names: Iterable[str], aliases: Mapping[str, str]) -> dict[tuple[str, Kind], str]:
    """What Qdrant calls the halves that are searched, by collection and kind. aliases: names of collections."""
    found = {parted: name for name in names if (parted := parted_name(name))}
    for alias, name in aliases.items():
        if alias.endswith(f"@{CURRENT}") and (parted := parted_name(alias.removesuffix(f"@{CURRENT}"))):
            found[parted] = name
    return found


def generations(client: QdrantClient, collection: str, kind: Kind) -> list[str]:
    """What Qdrant calls all of one half: what is searched, what is being made, what was kept."""
    own = stored_name(collection, kind)
    return [
        name
        for name in stored_names(client)
        if name == own or (name.startswith(f"{own}@") and parted_name(name) is None)
    ]


def stored_halves(client: QdrantClient) -> dict[tuple[str, Kind], str]:
    """What Qdrant calls the halves that are searched."""
    return searched(stored_names(client), aliases_of(client))


class Generations:
    """Raises what qdrant-client does where the store does not answer."""

    def __init__(self, client: QdrantClient) -> None:
        self._client = client

    def switch(self, collection: str, made: Mapping[Kind, str]) -> None:
        """Searches go to these generations from now on: all at once. May be repeated."""
        names = stored_names(self._client)
        chosen = {
            alias: stored_name(collection, kind, generation)
            for kind, generation in made.items()
            for alias in (stored_name(collection, kind, CURRENT), stored_name(collection, kind))
            if alias not in names
        }
        self._point(chosen)

    def remove_others(self, collection: str, kind: Kind) -> list[str]:
        """Those of a half that are not searched. Returns their names in Qdrant."""
        current = stored_halves(self._client).get((collection, kind))
        if current is None:
            return []
        removed = [each for each in generations(self._client, collection, kind) if each != current]
        for name in removed:
            self._client.delete_collection(name)
        own = stored_name(collection, kind)
        if current != own and aliases_of(self._client).get(own) != current:
            self._point({own: current})
        return removed

    def _point(self, chosen: Mapping[str, str]) -> None:
        """Aliases to collections, in one step."""
        operations: list[models.AliasOperations] = []
        there = aliases_of(self._client)
        for alias, name in chosen.items():
            if alias in there:
                gone = models.DeleteAlias(alias_name=alias)
                operations.append(models.DeleteAliasOperation(delete_alias=gone))
            fresh = models.CreateAlias(alias_name=alias, collection_name=name)
            operations.append(models.CreateAliasOperation(create_alias=fresh))
        self._client.update_collection_aliases(operations)


def stored_names(client: QdrantClient) -> list[str]:
    """Of all collections in Qdrant, without aliases."""
    return [each.name for each in client.get_collections().collections]


def aliases_of(client: QdrantClient) -> dict[str, str]:
    """All aliases in Qdrant, with the collections that they stand for."""
    return {each.alias_name: each.collection_name for each in client.get_aliases().aliases}
