"""Which collections there are, asked without qdrant-client."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from qdrant_client import models

from ingest.qdrant.folder import vector_folder
from ingest.qdrant.presence import stored_collections
from ingest.store.app import StoreApp
from ingest.store.catalog import Catalog
from jobs.search.errors import StoreUnavailable
from jobs.settings import Settings
from tests.support.folders import ROOT
from tests.support.vectors.pages import make_collection
from tests.support.vectors.store import client_of, serving


def test_the_embedded_store_tells_its_collections(tmp_path: Path):
    settings = Settings(data=tmp_path, qdrant_url=None)
    folder = vector_folder(settings)
    folder.hold()
    with serving(StoreApp(Catalog(folder.path / "shards")).app, folder.socket):
        assert stored_collections(settings) == {}
        client = client_of(folder.socket)
        make_collection(client, pages=1)
        named = models.CreateAlias(alias_name="current", collection_name="pages")
        client.update_collection_aliases([models.CreateAliasOperation(create_alias=named)])
        client.close()

        assert stored_collections(settings) == {"pages": "pages", "current": "pages"}
    folder.release()


def test_without_a_store_it_is_told_what_to_start(tmp_path: Path):
    with pytest.raises(StoreUnavailable, match="start `mlxq up`"):
        stored_collections(Settings(data=tmp_path, qdrant_url=None))


def test_a_server_that_is_away_is_told_without_its_password(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://user:secret@127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(StoreUnavailable, match="QDRANT_URL") as told:
        stored_collections(Settings(data=tmp_path, qdrant_url=url))

    assert "secret" not in str(told.value)


def test_it_needs_no_library_that_takes_long_to_load():
    code = "import sys, ingest.qdrant.presence; print({'qdrant_client', 'httpx'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert run.stdout == "set()\n"
