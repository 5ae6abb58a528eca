"""`mlxq collections`: what is in the vector store, and how it moves to a Qdrant server."""

import contextlib
from collections.abc import Callable
from typing import NamedTuple

import httpx
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from cli.cannot_do import CannotDo
from ingest.collections.generations import aliases_of, stored_halves, stored_names
from ingest.collections.layout import Kind
from ingest.manifest.database import Database, ManifestUnusable
from ingest.manifest.manifest import Manifest, manifest_path
from ingest.qdrant.connect import connect, server
from ingest.qdrant.failures import told
from jobs.search.errors import StoreUnavailable
from jobs.settings import Settings


class Request(NamedTuple):
    """What the command line asks for."""

    action: str
    """list, show, rm or copy."""
    name: str = ""
    to: str = ""
    """Address of the server to copy to."""


def collections(settings: Settings, request: Request) -> int:
    """Raises: CannotDo."""
    actions: dict[str, Callable[[QdrantClient, Request], None]] = {
        "list": _list,
        "show": _show,
        "rm": _remove,
        "copy": _copy,
    }
    try:
        client = connect(settings)
        half = _half(client, request.name) if request.action == "rm" else None
        actions[request.action](client, request)
        if half is not None:
            _forget(settings, *half)
    except StoreUnavailable as error:
        raise CannotDo(f"{error}") from error
    except UnexpectedResponse as error:
        raise CannotDo(told(error)) from error
    except (ApiException, httpx.HTTPError) as error:
        raise CannotDo(f"The vector store does not answer: {error}.") from error
    except ManifestUnusable as error:
        raise CannotDo(f"{error}") from error
    return 0


def _list(client: QdrantClient, _: Request) -> None:
    names = stored_names(client)
    if not names:
        print("There are no collections yet.")
        return
    rows = [("COLLECTION", "POINTS", "VECTORS")]
    for name in names:
        try:
            info = client.get_collection(name)
        except UnexpectedResponse as error:
            rows.append((name, "?", told(error)))
            continue
        aliases = [each.alias_name for each in client.get_collection_aliases(name).aliases]
        also = f"; also called {', '.join(aliases)}" if aliases else ""
        rows.append((name, f"{info.points_count:,}", f"{_vectors(info)}{also}"))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, points, vectors in rows:
        print(f"{name:<{widths[0]}}  {points:>{widths[1]}}  {vectors}")


def _vectors(info: models.CollectionInfo) -> str:
    dense = info.config.params.vectors or {}
    named = {"": dense} if isinstance(dense, models.VectorParams) else dense
    found = [
        f"{name or '(unnamed)'} {'n x ' if params.multivector_config else ''}{params.size}"
        for name, params in named.items()
    ]
    return ", ".join([*found, *(f"{name} (sparse)" for name in info.config.params.sparse_vectors or {})])


def _show(client: QdrantClient, request: Request) -> None:
    info = client.get_collection(request.name)
    print(f"{request.name}: {info.points_count:,} points")
    print(f"  vectors  {_vectors(info)}")
    fields = [f"{name} ({index.data_type.value})" for name, index in sorted(info.payload_schema.items())]
    print(f"  indices  {', '.join(fields) or 'none'}")
    for key, value in (info.config.metadata or {}).items():
        print(f"  {key}  {value}")


def _remove(client: QdrantClient, request: Request) -> None:
    if not client.delete_collection(_named(client, request.name)):
        raise CannotDo(_unknown(client, request.name))
    print(f"{request.name} is removed.")


def _half(client: QdrantClient, name: str) -> tuple[str, Kind] | None:
    """The collection and kind that searches find there. None: they do not look there."""
    stored = _named(client, name)
    return next((half for half, each in stored_halves(client).items() if each == stored), None)


def _forget(settings: Settings, collection: str, kind: Kind) -> None:
    """The manifest says no longer that anything is in it."""
    path = manifest_path(settings)
    if not path.exists():
        return
    with contextlib.closing(Database(path)) as database:
        Manifest(database).forget_collection(collection, kind)


def _copy(client: QdrantClient, request: Request) -> None:
    if not client.collection_exists(request.name):
        raise CannotDo(_unknown(client, request.name))
    target, name = server(request.to), _named(client, request.name)
    if target.collection_exists(request.name) or target.collection_exists(name):
        raise CannotDo(
            f"{request.to} has a collection {request.name!r} already. Remove it there first, or copy to another server."
        )
    client.migrate(target, [name])
    _copy_aliases(client, target, name)
    print(f"{request.name} is copied: {target.count(request.name).count:,} points are at {request.to}.")


def _copy_aliases(client: QdrantClient, target: QdrantClient, name: str) -> None:
    aliases = [
        models.CreateAlias(alias_name=each.alias_name, collection_name=name)
        for each in client.get_collection_aliases(name).aliases
    ]
    if aliases:
        target.update_collection_aliases([models.CreateAliasOperation(create_alias=each) for each in aliases])


def _named(client: QdrantClient, name: str) -> str:
    """The collection that an alias stands for; a name that is none stands for itself."""
    return aliases_of(client).get(name, name)


def _unknown(client: QdrantClient, name: str) -> str:
    return f"There is no collection {name!r}. There is: {', '.join(stored_names(client)) or 'none'}."
