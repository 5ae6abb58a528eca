"""A repository of a stand-in hub comes into the cache whole, checked, or not at all."""

import hashlib
import json
import os
import threading
import time
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

from jobs.machines.commands import Progress
from tests.support.hub.fixtures import WEIGHTS_BYTES, Fetch, small_model
from tests.support.hub.repository import Made, repository
from tests.support.hub.server import TOKEN, Hub
from workers.hub.cache import PART
from workers.hub.fetch import Fetched
from workers.hub.fetch import Hub as Source
from workers.hub.fetch import fetch as fetch_model
from workers.hub.problem import Canceled, PullError
from workers.hub.reporter import Reporter

WEIGHTS = "model.safetensors"


def blobs(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.glob("models--*/blobs/*"))


def snapshots(cache: Path) -> list[Path]:
    return list(cache.glob("models--*/snapshots/*"))


def test_what_is_pulled_is_whole_and_other_tools_find_it(hub: Hub, fetch: Fetch, source: Source):
    fetched = fetch()

    found = snapshot_download("org/model", local_files_only=True, cache_dir=source.cache)
    assert Path(found) == fetched.folder
    assert sorted(os.listdir(found)) == ["config.json", WEIGHTS, "tokenizer.json"]
    assert hashlib.sha256((fetched.folder / WEIGHTS).read_bytes()).hexdigest() == Made(WEIGHTS_BYTES).sha256
    assert fetched.commit == hub.repositories["org/model"].commit
    assert not list(source.cache.glob(f"**/*{PART}")) if source.cache else False


def test_progress_is_told_in_ollamas_words(fetch: Fetch, told: list[Progress]):
    fetch()

    assert told[0] == Progress(status="pulling manifest")
    assert [line.status for line in told[-2:]] == ["verifying sha256 digest", "writing manifest"]
    digest = Made(WEIGHTS_BYTES).sha256
    of_weights = [line for line in told if line.file == WEIGHTS]
    assert {(line.status, line.digest, line.total) for line in of_weights} == {
        (f"pulling {digest[:12]}", f"sha256:{digest}", WEIGHTS_BYTES)
    }
    assert [line.completed for line in of_weights] == sorted(line.completed or 0 for line in of_weights)
    assert of_weights[-1].completed == WEIGHTS_BYTES


def test_a_second_pull_downloads_nothing(hub: Hub, fetch: Fetch):
    first = fetch()
    hub.sent.clear()

    second = fetch()

    assert not hub.sent
    assert (second.folder, second.downloaded_bytes) == (first.folder, 0)


def test_a_connection_that_is_cut_goes_on_where_it_was(hub: Hub, fetch: Fetch):
    cut = WEIGHTS_BYTES * 4 // 10
    hub.cut_after[WEIGHTS] = [cut, 1, 100_000]

    fetch()

    assert hub.sent[WEIGHTS] == WEIGHTS_BYTES
    last = WEIGHTS_BYTES - 1
    assert hub.ranges(WEIGHTS) == [f"bytes={start}-{last}" for start in (0, cut, cut + 1, cut + 1 + 100_000)]


def test_a_connection_that_brings_nothing_any_more_is_replaced(hub: Hub, fetch: Fetch):
    hub.stall_after[WEIGHTS] = [1_000_000]

    fetch()

    assert hub.sent[WEIGHTS] == WEIGHTS_BYTES


def test_a_connection_that_only_drips_is_replaced(hub: Hub, fetch: Fetch, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tests.support.hub.server.PIECE_BYTES", 100)
    hub.repositories["org/model"] = small_model(model__safetensors=Made(3_000))
    hub.bytes_per_s = 2_000  # a piece each 50 ms: no read times out

    fetch()

    assert len(hub.ranges(WEIGHTS)) > 1
    assert hub.sent[WEIGHTS] < 3_000 + 200 * len(hub.ranges(WEIGHTS))


def test_a_hub_that_is_out_of_order_for_a_moment_is_asked_again(hub: Hub, fetch: Fetch, told: list[Progress]):
    hub.statuses = {"listing": [503], WEIGHTS: [500, 429, 502]}

    fetch()

    assert hub.sent[WEIGHTS] == WEIGHTS_BYTES


def test_a_hub_without_ranges_costs_bytes_and_no_correctness(hub: Hub, fetch: Fetch):
    hub.ignores_ranges = True
    hub.cut_after[WEIGHTS] = [2_000_000]

    folder = fetch().folder

    assert hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest() == Made(WEIGHTS_BYTES).sha256


def test_a_wrong_body_of_the_right_size_is_fetched_anew(hub: Hub, fetch: Fetch):
    hub.wrong[WEIGHTS] = 1

    folder = fetch().folder

    assert hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest() == Made(WEIGHTS_BYTES).sha256
    assert hub.sent[WEIGHTS] == 2 * WEIGHTS_BYTES


@pytest.mark.parametrize("path", [WEIGHTS, "tokenizer.json"])
def test_a_body_that_stays_wrong_never_appears(hub: Hub, fetch: Fetch, source: Source, path: str):
    hub.wrong[path] = 99

    with pytest.raises(PullError, match=rf"{path} of org/model came twice with another checksum") as caught:
        fetch()

    assert caught.value.code == "checksum"
    assert source.cache and snapshots(source.cache) == []
    assert hub.repositories["org/model"].files[path].digest not in blobs(source.cache)


def test_a_file_that_another_tool_left_wrong_is_replaced(hub: Hub, fetch: Fetch):
    folder = fetch().folder
    blob = (folder / WEIGHTS).resolve()
    blob.write_bytes(b"0" * WEIGHTS_BYTES)

    fetch()

    assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


def test_a_part_that_is_longer_than_the_file_is_begun_anew(hub: Hub, fetch: Fetch, source: Source):
    digest = hub.repositories["org/model"].files[WEIGHTS].digest
    assert source.cache
    part = source.cache / "models--org--model" / "blobs" / f"{digest}{PART}"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * (WEIGHTS_BYTES + 1))

    fetch()

    assert hub.sent[WEIGHTS] == WEIGHTS_BYTES


def test_shards_are_pulled_as_the_index_names_them(hub: Hub, fetch: Fetch):
    shards = {f"model-0000{i}-of-00003.safetensors": Made(100_000, seed=i) for i in (1, 2, 3)}
    index = json.dumps({"weight_map": {f"layer.{i}": name for i, name in enumerate(shards)}}).encode()
    plain = dict.fromkeys(("config.json", "tokenizer.json"), b"{}")
    files = {**plain, "model.safetensors.index.json": index, **shards}
    hub.repositories["org/large"] = repository({**files, "model.safetensors": Made(10)})

    folder = fetch("org/large").folder

    assert sorted(os.listdir(folder)) == sorted(files)


def test_an_index_that_names_what_is_not_there_is_refused(hub: Hub, fetch: Fetch):
    index = json.dumps({"weight_map": {"layer": "model-1.safetensors"}}).encode()
    hub.repositories["org/model"] = small_model(model__safetensors__index__json=index)

    with pytest.raises(PullError, match=r"lacks model-1\.safetensors"):
        fetch()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("model.safetensors.index.json", "[]"),
        ("model.safetensors.index.json", "{}"),
        ("model.safetensors.index.json", '{"weight_map": ["model.safetensors"]}'),
        ("model.safetensors.index.json", '{"weight_map": {"layer": 1}}'),
        ("modules.json", "5"),
        ("modules.json", '{"path": ""}'),
    ],
)
def test_a_list_of_files_of_another_shape_is_refused(hub: Hub, fetch: Fetch, name: str, text: str):
    hub.repositories["org/model"] = small_model(**{name.replace(".", "__"): text.encode()})

    with pytest.raises(PullError, match=rf"{name} of org/model is not what it should be"):
        fetch()
    assert not hub.sent[WEIGHTS]


def test_modules_of_sentence_transformers_come_along(hub: Hub, fetch: Fetch):
    modules = json.dumps([{"path": ""}, {"path": "1_Pooling"}, {"path": "Head"}]).encode()
    more = {"modules.json": modules, "1_Pooling/config.json": b"{}", "Head/model.safetensors": Made(10)}
    hub.repositories["org/model"].files.update(repository(more).files)

    folder = fetch().folder

    assert (folder / "1_Pooling" / "config.json").read_bytes() == b"{}"
    assert (folder / "Head" / "model.safetensors").stat().st_size == 10


def test_a_renamed_repository_is_followed_and_said(hub: Hub, fetch: Fetch, told: list[Progress]):
    hub.renamed["old/name"] = "org/model"

    fetched = fetch("old/name")

    assert fetched.name == "org/model"
    assert Progress(status="old/name is called org/model now") in told
    assert "models--org--model" in fetched.folder.parts


def test_a_tag_is_pulled_and_found_by_its_name(hub: Hub, fetch: Fetch, source: Source):
    hub.repositories["org/model"].revisions = {"v1": hub.repositories["org/model"].commit}

    folder = fetch(revision="v1").folder

    found = snapshot_download("org/model", revision="v1", local_files_only=True, cache_dir=source.cache)
    assert Path(found) == folder


def test_files_that_a_folder_lacks_are_added(fetch: Fetch):
    folder = fetch().folder
    (folder / "tokenizer.json").unlink()

    fetch()

    assert (folder / "tokenizer.json").read_bytes() == b"{}"


SENTENCES = {
    "gated": r"is gated: .* accept the conditions, and log in here with `hf auth login`",
    "not_found": r"has no model 'org/nothing', or it is private\. Check the spelling",
    "no_revision": r"has no revision 'v9'\. Give a branch, a tag or a whole commit",
    "offline": r"the model hub cannot be reached \(ConnectError\)\. Check the connection",
    "forbidden": r"refuses this machine's token",
    "too_many_requests": r"too many requests \(429\)\. Wait some minutes",
    "hub_down": r"out of order \(503\)\. Pull again later",
    "no_safetensors": r"no weights as safetensors.* mlx-community",
    "no_tokenizer": r"no tokenizer\.json",
    "not_a_model": r"no config\.json",
    "bad_name": r"is no name of a model",
}


def break_so(hub: Hub, code: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str | None]:
    """What is asked for so that the error comes: a name and a revision."""
    match code:
        case "gated":
            hub.repositories["org/model"].gated = True
        case "not_found":
            return "org/nothing", None
        case "no_revision":
            return "org/model", "v9"
        case "forbidden":
            hub.statuses[WEIGHTS] = [403]
        case "too_many_requests":
            hub.statuses["listing"] = [429] * 9
        case "hub_down":
            hub.statuses[WEIGHTS] = [503] * 9
        case "no_safetensors":
            del hub.repositories["org/model"].files[WEIGHTS]
        case "no_tokenizer":
            del hub.repositories["org/model"].files["tokenizer.json"]
        case "not_a_model":
            del hub.repositories["org/model"].files["config.json"]
        case "bad_name":
            return "org/--model", None
        case _:
            pass
    return "org/model", None


@pytest.mark.parametrize("code", SENTENCES)
def test_each_failure_has_a_sentence_of_its_own_that_says_what_to_do(
    hub: Hub, source: Source, code: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("workers.hub.listing.TRY_AGAIN_S", 0.01)
    name, revision = break_so(hub, code, monkeypatch)
    if code == "offline":
        source = Source("http://127.0.0.1:9", source.cache, source.patience)

    with pytest.raises(PullError, match=SENTENCES[code]) as caught:
        fetch_model(name, revision, source, Reporter(lambda _: None))

    assert caught.value.code == code
    assert caught.value.hint in str(caught.value)
    assert source.cache and snapshots(source.cache) == []


@pytest.mark.parametrize("revision", ["../../x", "a//b", "."])
def test_a_revision_that_is_a_path_is_none(fetch: Fetch, revision: str):
    with pytest.raises(PullError, match="has no revision"):
        fetch(revision=revision)


@pytest.mark.parametrize("path", ["../x.json", "/x.json", "a/../../x.json", "a\\b.json"])
def test_a_file_outside_of_the_repository_is_refused(hub: Hub, fetch: Fetch, path: str):
    hub.repositories["org/model"].files.update(repository({path: b"{}"}).files)

    with pytest.raises(PullError, match="names a file"):
        fetch()


def test_forbidden_by_a_variable_is_said(fetch: Fetch, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(PullError, match=r"HF_HUB_OFFLINE .* forbids to ask the hub. Unset it"):
        fetch()


def test_a_gated_model_comes_with_a_token_which_goes_to_the_hub_alone(
    hub: Hub, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.repositories["org/model"].gated = True

    fetch()  # the stand-in asserts that its content's origin gets no token

    assert hub.sent[WEIGHTS] == WEIGHTS_BYTES


def test_a_disk_without_room_is_found_before_anything_large_is_asked_for(
    hub: Hub, fetch: Fetch, source: Source
):
    with pytest.raises(PullError, match=r"has .* free, and .* are needed\. Make room") as caught:
        fetch(also_needed=lambda files: (source.cache, 10**18))

    assert caught.value.code == "disk_full"
    assert not hub.sent


def test_canceling_keeps_what_came(hub: Hub, source: Source):
    hub.bytes_per_s = 20_000_000
    progress: list[Reporter] = []

    def cancel_at_some(update: Progress) -> None:
        if update.file == WEIGHTS and (update.completed or 0) > 1_000_000:
            progress[0].cancel()

    progress.append(Reporter(cancel_at_some, interval_s=0))
    with pytest.raises(Canceled):
        fetch_model("org/model", None, source, progress[0])
    had = hub.sent[WEIGHTS]
    hub.bytes_per_s = None
    fetch_model("org/model", None, source, Reporter(lambda _: None))

    assert source.cache and snapshots(source.cache)
    start = int(hub.ranges(WEIGHTS)[-1].removeprefix("bytes=").partition("-")[0])
    assert 1_000_000 < start <= had


def test_two_pulls_of_one_model_download_it_once_and_both_tell_how_far_it_is(hub: Hub, source: Source):
    hub.bytes_per_s = 10_000_000
    told: list[list[Progress]] = [[], []]
    fetched: list[Fetched] = []

    def run(lines: list[Progress]) -> None:
        fetched.append(fetch_model("org/model", None, source, Reporter(lines.append)))

    threads = [threading.Thread(target=run, args=(lines,)) for lines in told]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join()

    assert fetched[0].folder == fetched[1].folder
    assert hub.sent[WEIGHTS] == WEIGHTS_BYTES
    second = told[1]
    assert Progress(status="waiting for another pull of the same model") in second
    assert [line for line in second if line.file == WEIGHTS and 0 < (line.completed or 0) < (line.total or 0)]
