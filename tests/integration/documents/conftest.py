"""Documents in a running `mlxq up`, once for all tests here."""

from collections.abc import Iterator

import pytest

from tests.support.documents.served import ServedDocuments, served_documents


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDocuments]:
    with served_documents(tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture(autouse=True)
def _environ(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    """Commands of ours are told where all is by --data."""
    for name in ("REDIS_URL", "QDRANT_URL", "MLXQ_DATA"):
        monkeypatch.delenv(name, raising=False)
