"""Other names of collections in the embedded store."""

from collections.abc import Callable
from pathlib import Path

import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from tests.support.vectors.pages import make_collection
from tests.support.vectors.store import opened


def named(alias: str, collection: str) -> models.CreateAliasOperation:
    return models.CreateAliasOperation(
        create_alias=models.CreateAlias(alias_name=alias, collection_name=collection)
    )


def unnamed(alias: str) -> models.DeleteAliasOperation:
    return models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))


def renamed(old: str, new: str) -> models.RenameAliasOperation:
    return models.RenameAliasOperation(
        rename_alias=models.RenameAlias(old_alias_name=old, new_alias_name=new)
    )


def aliases(client: QdrantClient) -> dict[str, str]:
    return {each.alias_name: each.collection_name for each in client.get_aliases().aliases}


def plain(client: QdrantClient, name: str) -> None:
    client.create_collection(name, vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT))


def test_an_alias_is_as_good_as_the_name(pages: QdrantClient):
    pages.update_collection_aliases([named("current", "pages")])
    assert pages.collection_exists("current")
    assert pages.get_collection("current").points_count == 20
    assert pages.count("current").count == 20
    pages.set_payload("current", {"seen": True}, points=models.Filter())
    assert all((each.payload or {})["seen"] for each in pages.scroll("pages", limit=20)[0])
    assert [each.name for each in pages.get_collections().collections] == ["pages"]
    assert [each.alias_name for each in pages.get_collection_aliases("pages").aliases] == ["current"]


def test_an_alias_changes_collections_in_one_step(pages: QdrantClient):
    plain(pages, "next")
    pages.update_collection_aliases([named("current", "pages"), named("other", "pages")])
    pages.update_collection_aliases([unnamed("current"), named("current", "next"), renamed("other", "old")])
    assert aliases(pages) == {"current": "next", "old": "pages"}
    assert pages.count("current").count == 0
    assert [each.alias_name for each in pages.get_collection_aliases("next").aliases] == ["current"]


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        (named("b", "none"), 404),
        (named("pages", "pages"), 409),
        (renamed("none", "b"), 404),
        (named("a/b", "pages"), 400),
    ],
)
def test_where_one_change_is_refused_none_is_made(
    pages: QdrantClient, operation: models.AliasOperations, status: int
):
    with pytest.raises(UnexpectedResponse) as caught:
        pages.update_collection_aliases([named("current", "pages"), operation])
    assert caught.value.status_code == status
    assert aliases(pages) == {}


def test_a_name_is_an_aliass_or_a_collections(pages: QdrantClient):
    pages.update_collection_aliases([named("current", "pages")])
    with pytest.raises(UnexpectedResponse, match="already exists"):
        plain(pages, "current")


def test_aliases_go_with_their_collection_which_goes_by_its_own_name_alone(pages: QdrantClient):
    pages.update_collection_aliases([named("current", "pages")])
    assert not pages.delete_collection("current")
    assert pages.collection_exists("pages")
    pages.delete_collection("pages")
    assert aliases(pages) == {}
    assert not pages.collection_exists("current")


@pytest.mark.parametrize("change", [lambda c: None, lambda c: c.update_collection_aliases([unnamed("none")])])
def test_aliases_are_there_again_after_a_restart(tmp_path: Path, change: Callable[[QdrantClient], None]):
    with opened(tmp_path / "collections") as client:
        make_collection(client)
        client.update_collection_aliases([named("current", "pages")])
        change(client)
    with opened(tmp_path / "collections") as client:
        assert aliases(client) == {"current": "pages"}
        assert client.count("current").count == 20
