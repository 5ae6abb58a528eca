"""What Ollama's own client does with names of a real model: real processes, and the catalogue of a machine."""

from collections.abc import Iterator

import ollama
import pytest

from tests.support.stack import MODEL, Stack
from tests.support.waiting import wait_until


@pytest.fixture
def client(stack: Stack) -> Iterator[ollama.Client]:
    with ollama.Client(host=stack.url) as client:
        yield client


def names(client: ollama.Client) -> list[str | None]:
    return [each.model for each in client.list().models]


def test_a_model_is_listed_shown_and_in_memory(client: ollama.Client):
    [listed] = [each for each in client.list().models if each.model == f"{MODEL}:latest"]
    assert listed.size and listed.size > 80_000_000
    assert listed.digest and len(listed.digest) == 64
    assert listed.details and listed.modified_at
    assert (listed.details.family, listed.details.parameter_size) == ("bert", "22.71M")
    shown = client.show(MODEL)
    assert shown.modelinfo
    assert (shown.modelinfo["bert.block_count"], shown.modelinfo["bert.embedding_length"]) == (6, 384)
    assert client.embed(MODEL, "a cat").embeddings
    wait_until(lambda: [each.digest for each in client.ps().models] == [listed.digest])


def test_a_model_is_copied_created_from_and_deleted(client: ollama.Client):
    before = names(client)
    vector = client.embed(MODEL, "a cat").embeddings[0]
    assert client.copy(MODEL, "copied").status == "success"
    wait_until(lambda: "copied:latest" in names(client))
    digests = {
        each.digest for each in client.list().models if each.model in (f"{MODEL}:latest", "copied:latest")
    }
    assert len(digests) == 1
    assert client.embed("copied", "a cat").embeddings[0] == pytest.approx(vector)
    *_, last = client.create("made:v1", from_="copied", license="mine", stream=True)
    assert last.status == "success"
    wait_until(lambda: "made:v1" in names(client))
    shown = client.show("made:v1")
    assert shown.license == "mine"
    assert shown.details and shown.details.parent_model == f"{MODEL}:latest"
    assert client.embed("made:v1", "a cat").embeddings[0] == pytest.approx(vector)
    assert client.generate("copied", keep_alive=0).done_reason == "unload"
    wait_until(lambda: client.ps().models == [])
    for name in ("made:v1", "copied:latest"):
        assert client.delete(name).status == "success"
    wait_until(lambda: names(client) == before)
    for call in (client.show, client.delete):
        with pytest.raises(ollama.ResponseError) as unknown:
            call("copied")
        assert unknown.value.status_code == 404
