"""What stands in the catalogue after a pull, and what does not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from jobs.catalogue.deletion import delete, planned
from jobs.catalogue.entry import CatalogueEntry
from jobs.catalogue.file import CatalogueFile
from jobs.catalogue.limits import MAX_ENTRIES
from jobs.catalogue.marks import MARK
from jobs.machines.commands import Progress
from tests.checkpoints import colqwen, generators, make
from tests.support.hub.repository import of_folder
from tests.support.hub.server import Hub
from workers.hub.cache import PART
from workers.hub.fetch import Hub as Source
from workers.hub.problem import PullError
from workers.hub.reporter import Reporter
from workers.models.resolve import is_complete
from workers.pull.pull import pull as pull_model
from workers.pull.request import PullRequest

Pull = Callable[..., CatalogueEntry]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def published(hub: Hub, tmp_path: Path) -> Path:
    """The folder of org/bert."""
    folder = make.make("bert", tmp_path / "published")
    hub.repositories["org/bert"] = of_folder(folder)
    return folder


@pytest.fixture
def pull(published: Path, source: Source, data: Path, told: list[Progress]) -> Pull:
    def run(model: str = "org/bert", hub: Source = source, **more: Any) -> CatalogueEntry:
        return pull_model(PullRequest(model, data, **more), hub, Reporter(told.append))

    return run


def entries(data: Path) -> list[CatalogueEntry]:
    return [*CatalogueFile(data).read().entries]


def test_a_pulled_model_has_an_entry_with_all_that_is_known(
    pull: Pull, data: Path, told: list[Progress], hub: Hub
):
    entry = pull()

    assert entries(data) == [entry]
    folder = Path(entry.folder)
    assert (folder / "1_Pooling" / "config.json").is_file()
    assert (entry.name, entry.source, entry.kind, entry.pulled) == ("org/bert", "org/bert", "embedding", True)
    assert (entry.revision, entry.quantisation) == ("", "")
    assert entry.commit == hub.repositories["org/bert"].commit == folder.name
    assert entry.size_bytes == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert told[-1] == Progress(status="success", name="org/bert")


def test_a_folder_of_the_same_name_is_not_taken_for_who_asks_from_elsewhere(
    pull: Pull, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "here" / "org" / "bert").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")

    assert pull(from_hub=True).source == "org/bert"
    for path in ("../../etc", str(tmp_path / "here"), "~"):
        assert PullRequest(path, tmp_path, from_hub=True).folder is None


def test_a_name_of_ones_own_and_ollamas_tag(pull: Pull, data: Path):
    pull("org/bert:latest", name="vectors:small")

    (entry,) = entries(data)
    assert (entry.name, entry.source) == ("vectors:small", "org/bert")


def test_a_second_pull_keeps_when_it_was_made_and_who_pulled_it(pull: Pull, data: Path):
    first = pull()
    second = pull()

    (entry,) = entries(data)
    assert entry.created_at == first.created_at
    assert entry.pulled
    assert entry.modified_at >= second.modified_at


def test_what_another_tool_downloaded_is_not_called_pulled(pull: Pull, data: Path):
    forget_who_pulled(Path(pull().folder))
    CatalogueFile(data).path.unlink()

    pull()

    assert not entries(data)[0].pulled


def forget_who_pulled(folder: Path) -> None:
    """As if another tool had downloaded all of it."""
    (folder.parent.parent / MARK).unlink()


def test_one_file_more_does_not_make_another_tools_download_ours(pull: Pull, data: Path):
    folder = Path(pull().folder)
    forget_who_pulled(folder)
    CatalogueFile(data).path.unlink()
    lost = folder / "1_Pooling" / "config.json"
    lost.resolve().unlink()
    lost.unlink()

    entry = pull()

    assert lost.is_file() and not entry.pulled


@pytest.mark.parametrize("where", ["model.safetensors", "writing manifest"])
def test_a_pull_that_was_killed_is_known_as_ours_by_the_next(
    pull: Pull, source: Source, data: Path, where: str
):
    def killed(update: Progress) -> None:
        if where in (update.file, update.status):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull_model(PullRequest("org/bert", data), source, Reporter(killed))

    assert pull().pulled


def test_a_part_that_another_tool_completed_is_its_own(pull: Pull, data: Path):
    folder = Path(pull().folder)
    blob = (folder / "model.safetensors").resolve()
    CatalogueFile(data).path.unlink()
    blob.with_name(f"{blob.name}{PART}").write_bytes(b"part")

    assert not pull().pulled


def test_a_model_that_is_removed_before_it_has_its_name_gets_none(
    pull: Pull, data: Path, told: list[Progress], monkeypatch: pytest.MonkeyPatch
):
    def removed(request: PullRequest, folder: Path) -> tuple[str, str]:
        delete(planned(folder, data / "models"))
        return "embedding", ""

    monkeypatch.setattr("workers.pull.pull._kind", removed)

    with pytest.raises(PullError, match="was removed while it was pulled"):
        pull()
    assert entries(data) == []


def test_a_name_that_another_model_has_is_refused_before_anything_is_asked(pull: Pull, data: Path, hub: Hub):
    there = CatalogueEntry(name="taken", source="org/other", created_at=0, modified_at=0)
    CatalogueFile(data).update(lambda it: it.with_entry(there))

    with pytest.raises(
        PullError, match=r"taken is the name of org/other already. Give another one with --as"
    ):
        pull(name="taken")
    assert not hub.requests
    assert entries(data) == [there]


@pytest.mark.parametrize(
    ("models", "more"),
    [
        (("taken=org/other,task=embed",), {"name": "Taken:latest"}),
        (("all-MiniLM-L6-v2",), {"name": "all-minilm-l6-v2"}),
        (("org/bert",), {"name": "org/bert", "quantise": "4"}),
    ],
)
def test_a_name_of_the_settings_is_not_given_to_another_model(
    pull: Pull, data: Path, hub: Hub, models: tuple[str, ...], more: dict[str, str]
):
    with pytest.raises(PullError, match=r"is .* in MLXQ_MODELS already. Give another name with --as"):
        pull(models=models, **more)
    assert not hub.requests and entries(data) == []


@pytest.mark.parametrize(
    ("name", "means"),
    [("sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2"), ("long", "short"), ("Q", "Qwen/Q")],
)
def test_a_name_of_ones_own_means_no_other_model_yet(pull: Pull, data: Path, hub: Hub, name: str, means: str):
    there = CatalogueEntry(name="short", source="org/long", created_at=0, modified_at=0)
    CatalogueFile(data).update(lambda it: it.with_entry(there))

    with pytest.raises(PullError, match=f"means {means} already: choose another name"):
        pull(name=name, models=("all-MiniLM-L6-v2", "Qwen/Q"))
    assert not hub.requests and entries(data) == [there]


@pytest.mark.parametrize("models", [("org/bert",), ("Org/BERT,task=embed",), ("other=org/bert",)])
def test_what_the_settings_name_may_be_pulled(pull: Pull, models: tuple[str, ...]):
    assert pull(models=models).name == "org/bert"


def test_a_full_catalogue_takes_no_further_model(pull: Pull, data: Path, hub: Hub):
    aliases = tuple(
        CatalogueEntry(name=f"a{number}", of="x", created_at=0, modified_at=0)
        for number in range(MAX_ENTRIES)
    )
    CatalogueFile(data).update(lambda it: replace(it, entries=aliases))

    with pytest.raises(PullError, match=r"has 1000 models and aliases.*mlxq rm"):
        pull()
    assert not hub.requests


def test_an_alias_of_the_name_is_not_overwritten(pull: Pull, data: Path):
    alias = CatalogueEntry(name="poet", of="org/bert", created_at=0, modified_at=0)
    CatalogueFile(data).update(lambda it: it.with_entry(alias))

    with pytest.raises(PullError, match="poet is an alias of org/bert already"):
        pull(name="poet")


@pytest.mark.parametrize("name", ["a b", "../x", "a/b/c/d"])
def test_a_name_that_cannot_be_one_is_refused(pull: Pull, name: str):
    with pytest.raises(PullError, match="is no name for a model"):
        pull(name=name)


def test_a_damaged_catalogue_is_said_before_anything_is_asked(pull: Pull, data: Path, hub: Hub):
    data.mkdir()
    (data / "catalogue.json").write_text("{")

    with pytest.raises(PullError, match="is damaged"):
        pull()
    assert not hub.requests


def test_without_a_connection_what_is_here_is_taken(
    pull: Pull, source: Source, data: Path, told: list[Progress]
):
    pull()
    offline = Source("http://127.0.0.1:9", source.cache, source.patience)

    entry = pull(name="again", hub=offline)

    assert Path(entry.folder) == Path(entries(data)[0].folder)
    assert Progress(status="the model hub cannot be reached: what is on this machine is used") in told


def test_without_a_connection_half_a_model_is_not_taken(pull: Pull, source: Source):
    folder = Path(pull().folder)
    (folder / "model.safetensors").unlink()

    with pytest.raises(PullError, match="cannot be reached"):
        pull(hub=Source("http://127.0.0.1:9", source.cache, source.patience))


@pytest.mark.parametrize(
    ("asked", "found"), [("llm", "embedding"), ("reranker", "embedding"), ("vlm", "embedding")]
)
def test_a_type_that_the_files_contradict_is_refused_before_the_weights_come(
    pull: Pull, data: Path, hub: Hub, asked: str, found: str
):
    with pytest.raises(PullError, match=f"of the type {found} by its files, and not {asked}"):
        pull(kind=asked)
    assert entries(data) == []
    assert not hub.sent["model.safetensors"]


def test_a_config_that_is_none_is_refused_before_the_weights_come(pull: Pull, hub: Hub, published: Path):
    (published / "config.json").write_text("{")
    hub.repositories["org/bert"] = of_folder(published)

    with pytest.raises(PullError, match="is not valid JSON"):
        pull()
    assert not hub.sent["model.safetensors"]


def test_a_type_that_only_the_weights_tell_is_taken(pull: Pull, hub: Hub, tmp_path: Path):
    hub.repositories["org/pages"] = of_folder(colqwen.make(tmp_path / "pages"))
    assert pull("org/pages", kind="embedding").kind == "embedding"


def test_a_model_that_writes_may_embed(pull: Pull, hub: Hub, tmp_path: Path, data: Path):
    hub.repositories["org/llama"] = of_folder(generators.make("llama", tmp_path / "llama"))

    pull("org/llama", kind="embedding")

    (entry,) = entries(data)
    assert (entry.kind, entry.task) == ("llm", "embed")


def test_a_quantised_model_lies_in_the_data_folder_under_a_name_of_its_own(
    pull: Pull, data: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("workers.pull.quantise.weights.MIN_ROWS", 16)

    entry = pull(quantise="mxfp4")

    assert entry.name == "org/bert-mxfp4"
    assert entry.folder == str(data / "models" / "org" / "bert-mxfp4")
    assert (entry.quantisation, entry.pulled) == ("mxfp4", True)
    origin = json.loads((Path(entry.folder) / "mlxq.json").read_text())["made_of"]
    assert (origin["source"], origin["commit"], origin["quantised"]) == ("org/bert", entry.commit, "mxfp4")
    assert pull(name="other", quantise="mxfp4").folder == entry.folder


def test_a_folder_is_taken_where_it_lies(pull: Pull, published: Path, data: Path, hub: Hub):
    entry = pull(str(published), name="mine")

    assert (entry.folder, entry.source) == (str(published), str(published))
    assert (entry.commit, entry.pulled) == ("", False)
    assert not hub.requests


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all"])
def test_a_folder_that_is_none_says_so(pull: Pull, name: str):
    with pytest.raises(PullError, match="holds no config"):
        pull(name)


def test_programs_of_a_repository_are_pulled_where_it_is_trusted_by_name(
    pull: Pull, hub: Hub, published: Path
):
    (published / "modeling.py").write_text("x = 1")
    hub.repositories["org/bert"] = of_folder(published)

    assert not (Path(pull().folder) / "modeling.py").exists()
    assert (Path(pull(trusted=("Org/Bert",)).folder) / "modeling.py").exists()


def test_a_disk_that_has_no_room_for_the_quantised_model_is_found_first(
    pull: Pull, hub: Hub, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("workers.pull.pull.converted_bytes", lambda *_: 10**18)

    with pytest.raises(PullError, match="MLXQ_DATA"):
        pull(quantise="mxfp4")
    assert not hub.sent["model.safetensors"]


def test_what_killed_conversions_left_is_swept(pull: Pull, data: Path):
    left = data / "models" / "org" / ".other-4bit.new"
    left.mkdir(parents=True)
    pull()
    assert not left.exists()


@pytest.fixture
def publish(published: Path, hub: Hub) -> Callable[[], None]:
    """A new commit, whose weights are the same."""

    def run() -> None:
        (published / "README.md").write_text("new")
        hub.repositories["org/bert"] = of_folder(published)

    return run


def test_the_files_of_an_earlier_commit_go(pull: Pull, publish: Callable[[], None]):
    first = Path(pull().folder)
    publish()

    second = Path(pull().folder)

    assert [*second.parent.iterdir()] == [second] and first != second
    assert is_complete(second)


@pytest.mark.parametrize("who", ["another name", "the settings", "another tool"])
def test_the_files_of_an_earlier_commit_stay_where_they_are_needed(
    pull: Pull, publish: Callable[[], None], data: Path, who: str
):
    first = Path(pull().folder)
    if who == "another name":
        pull(name="kept")
    if who == "another tool":
        forget_who_pulled(first)
    publish()

    pull(models=["mine=org/bert"] if who == "the settings" else [])

    assert is_complete(first)
