"""Commands on models where no server runs: they read and change this machine's catalogue."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from jobs.catalogue.entry import Catalogue, CatalogueEntry
from jobs.catalogue.file import CatalogueFile
from jobs.catalogue.marks import mark
from jobs.catalogue.pull_lock import held, lock_of
from tests.unit.cli.conftest import Ask, Said

SIZE = 1000


def cached(cache: Path, name: str, content: str) -> Path:
    """The snapshot of a model in the Hugging Face cache."""
    repository = cache / f"models--org--{name}"
    snapshot = repository / "snapshots" / "c0ffee"
    (repository / "blobs").mkdir(parents=True)
    snapshot.mkdir(parents=True)
    blob = repository / "blobs" / content
    blob.write_bytes(content.encode() * SIZE)
    (snapshot / "model.safetensors").symlink_to(blob)
    return snapshot


@pytest.fixture
def catalogue(tmp_path: Path) -> CatalogueFile:
    """org/ours, which mlxq pulled, and org/theirs, which was in the cache before."""
    entries = [
        CatalogueEntry(
            name=f"org/{name}",
            folder=str(cached(tmp_path / "cache", name, content)),
            source=f"org/{name}",
            pulled=name == "ours",
            size_bytes=SIZE,
            kind="llm",
            quantisation="4bit",
            created_at=1_700_000_000,
            modified_at=1_700_000_000,
        )
        for name, content in (("ours", "a"), ("theirs", "b"))
    ]
    mark(tmp_path / "cache" / "models--org--ours", ["a"])
    file = CatalogueFile(tmp_path / "data")
    for entry in entries:
        file.update(lambda it, entry=entry: it.with_entry(entry))
    return file


Do = Callable[..., Said]


@pytest.fixture
def do(ask: Ask, catalogue: CatalogueFile, monkeypatch: pytest.MonkeyPatch) -> Do:
    """Runs `mlxq` where nobody listens."""
    monkeypatch.setenv("MLXQ_DATA", str(catalogue.path.parent))
    return lambda *arguments, **given: ask(*arguments, **given, port="9")


def names(catalogue: CatalogueFile) -> list[str]:
    return [entry.name for entry in catalogue.read().entries]


def test_models_are_listed_and_it_is_told_from_where(do: Do):
    said = do("list")
    heads, first, _ = said.out.splitlines()
    assert heads.split() == ["NAME", "ID", "SIZE", "MODIFIED"]
    assert first.startswith("org/ours:latest") and "1 KB" in first and first.endswith("ago")
    assert said.err.startswith("note: no server answers at http://127.0.0.1:9; this is the catalogue")
    assert do("list", "org/t", "-q").out == "org/theirs\n"
    [model] = json.loads(do("list", "org/t", "--json").out)["models"]
    assert (model["name"], model["size"]) == ("org/theirs:latest", SIZE)


def test_a_model_is_shown(do: Do):
    shown = do("show", "ORG/ours:latest").out
    assert "quantization    4bit" in shown and "completion" in shown
    assert json.loads(do("show", "org/ours", "--json").out)["capabilities"] == ["completion"]
    assert do("show", "Ours").out == shown
    assert "model 'org/none' not found" in do("show", "org/none").err


def test_a_name_without_its_organisation_means_the_one_model_that_has_it(do: Do, catalogue: CatalogueFile):
    do("cp", "ours", "other/ours")
    assert "may be org/ours or other/ours" in do("show", "ours").err
    assert "'theirs' not found" in do("rm", "theirs", "--yes").err  # a removal names a model exactly
    assert names(catalogue) == ["org/ours", "org/theirs", "other/ours"]
    assert do("rm", "ORG/theirs:LATEST", "--yes").code == do("rm", "other/ours").code == 0
    assert names(catalogue) == ["org/ours"]


def test_an_alias_is_made_listed_and_shown(do: Do, catalogue: CatalogueFile):
    said = do("alias", "pirate", "org/ours", "--system", "Arr.", "-p", "temperature=0.5", "-p", "stop=!")
    assert said.out == "'pirate' is 'org/ours'\n"
    entry = catalogue.read().find("pirate")
    assert entry is not None and entry.of == "org/ours" and entry.defaults.system == "Arr."
    assert entry.defaults.parameters == {"temperature": 0.5, "stop": ("!",)}
    assert do("alias").out == "NAME      MODEL\npirate    org/ours\n"
    assert json.loads(do("alias", "--json").out) == [{"name": "pirate", "model": "org/ours"}]
    shown = do("show", "pirate").out
    assert 'stop           "!"' in shown and "Arr." in shown
    assert "Say what pirate stands for" in do("alias", "pirate").err


def test_a_copy_is_one_more_name(do: Do, catalogue: CatalogueFile):
    assert do("cp", "org/ours", "mine").out == "copied 'org/ours' to 'mine'\n"
    assert names(catalogue) == ["org/ours", "org/theirs", "mine"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cp", "org/none", "mine"], "model 'org/none' not found"),
        (["cp", "org/ours", "no name"], "is no name for a model"),
        (["alias", "org/theirs", "org/ours"], "a model with files of its own"),
        (["alias", "mine", "org/ours", "-p", "temp=1"], "there is no parameter 'temp'"),
        (["rm", "org/none"], "model 'org/none' not found"),
        (["ps"], "No server answers"),
        (["list", "--url", "127.0.0.1:9"], "No server answers"),
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(
    do: Do, catalogue: CatalogueFile, arguments: list[str], said: str
):
    before = catalogue.read()
    done = do(*arguments)
    assert (done.code, done.out) == (1, "") and said in done.err
    assert catalogue.read() == before


def test_another_machines_server_is_not_replaced_by_this_machines_catalogue(
    do: Do, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLXQ_HOST", "192.0.2.1.invalid")
    assert "No server answers at http://192.0.2.1.invalid:9" in do("list").err


def test_what_mlxq_pulled_is_deleted_unasked(do: Do, catalogue: CatalogueFile, tmp_path: Path):
    assert do("rm", "org/ours").out == "deleted 'org/ours', 1 KB freed\n"
    assert names(catalogue) == ["org/theirs"]
    assert not (tmp_path / "cache" / "models--org--ours").exists()


@pytest.mark.parametrize(
    ("options", "typed", "stays"),
    [([], "n\n", True), ([], "\n", True), ([], "y\n", False), (["--yes"], None, False)],
)
def test_what_mlxq_did_not_pull_is_deleted_if_somebody_says_so(
    do: Do,
    catalogue: CatalogueFile,
    tmp_path: Path,
    options: list[str],
    typed: str | None,
    stays: bool,
):
    said = do("rm", "org/theirs", *options, typed=typed)
    assert names(catalogue) == ["org/ours"]
    folder = tmp_path / "cache" / "models--org--theirs"
    assert folder.exists() == stays
    told = f"; its files stay in {folder}/snapshots/c0ffee" if stays else ", 1 KB freed"
    assert said.out == f"deleted 'org/theirs'{told}\n"
    assert ("1 KB? [y/N]" in said.err) == (typed is not None)


def test_a_folder_of_somebodys_own_is_never_deleted(do: Do, catalogue: CatalogueFile, tmp_path: Path):
    folder = tmp_path / "mine"
    folder.mkdir()
    entry = CatalogueEntry(name="mine", folder=str(folder), created_at=0, modified_at=0)
    catalogue.update(lambda it: it.with_entry(entry))
    assert do("rm", "mine", "--yes").out == f"deleted 'mine'; its files stay in {folder}\n"
    assert folder.exists()


def test_nobody_is_asked_in_a_pipe(do: Do, tmp_path: Path):
    said = do("rm", "org/theirs", stdin="y\n")
    assert "its files stay" in said.out and "[y/N]" not in said.err
    assert (tmp_path / "cache" / "models--org--theirs").exists()


@pytest.mark.parametrize(("name", "stays"), [("ours", True), ("theirs", False)])
def test_what_is_being_pulled_is_not_deleted(do: Do, catalogue: CatalogueFile, name: str, stays: bool):
    folder = Path(catalogue.read().entries[name == "theirs"].folder)
    with held(lock_of(folder), lambda _: None):
        said = do("rm", f"org/{name}", "--yes")
    assert said.code == 1 and "is being pulled at the moment" in said.err
    assert folder.exists() and (f"org/{name}" in names(catalogue)) == stays


def test_what_another_tool_added_to_a_pulled_model_is_asked_for(do: Do, tmp_path: Path):
    repository = tmp_path / "cache" / "models--org--ours"
    (repository / "blobs" / "added").write_bytes(bytes(SIZE))
    added = repository / "snapshots" / "c0ffee" / "pytorch_model.bin"
    added.symlink_to(repository / "blobs" / "added")

    said = do("rm", "org/ours", typed="n\n")

    assert "its files stay" in said.out and "mlxq did not pull all of org/ours" in said.err
    assert [*added.parent.iterdir()] == [added] and added.read_bytes()


def test_files_that_another_name_needs_stay(do: Do, catalogue: CatalogueFile, tmp_path: Path):
    do("cp", "org/ours", "mine")
    assert do("rm", "org/ours").out == "deleted 'org/ours'\n"
    assert names(catalogue)[-1] == "mine" or "mine" in names(catalogue)
    assert (tmp_path / "cache" / "models--org--ours").exists()


def test_a_damaged_catalogue_is_told(do: Do, catalogue: CatalogueFile):
    catalogue.path.write_text("{")
    for arguments in (["list"], ["cp", "org/ours", "mine"], ["alias"]):
        assert "is damaged" in do(*arguments).err


def test_a_model_that_the_settings_name_may_have_other_names(
    do: Do, catalogue: CatalogueFile, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLXQ_MODELS", '["org/served,task=embed", "short=org/long"]')
    do("cp", "org/served", "mine")
    do("cp", "short", "yours")
    entries: Catalogue = catalogue.read()
    assert [entry.of for entry in entries.entries[2:]] == ["org/served", "short"]
    assert "take it out there" in do("rm", "short").err


def test_without_mlxq_models_the_default_model_is_known(
    do: Do, catalogue: CatalogueFile, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("MLXQ_MODELS", raising=False)
    assert do("cp", "all-minilm-l6-v2", "mine").code == 0
    assert do("alias", "yours", "all-MiniLM-L6-v2").code == 0
    assert [entry.of for entry in catalogue.read().entries[2:]] == ["all-MiniLM-L6-v2"] * 2
    assert "take it out there" in do("rm", "all-MiniLM-L6-v2").err


def test_files_that_the_settings_need_stay(
    do: Do, catalogue: CatalogueFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    as_published = tuple(replace(entry, quantisation="") for entry in catalogue.read().entries)
    catalogue.update(lambda it: replace(it, entries=as_published))
    monkeypatch.setenv("MLXQ_MODELS", f'["q={as_published[0].folder}", "big,draft=org/theirs"]')
    assert do("rm", "org/ours").out == "deleted 'org/ours'\n"
    assert do("rm", "org/theirs", "--yes").out == "deleted 'org/theirs'\n"
    assert names(catalogue) == []
    assert all((tmp_path / "cache" / f"models--org--{name}").exists() for name in ("ours", "theirs"))


@pytest.mark.parametrize("parameter", ["temperature=nan", "top_p=inf", f"seed={'9' * 30}"])
def test_a_number_that_no_catalogue_can_hold_is_refused(do: Do, catalogue: CatalogueFile, parameter: str):
    assert "of 64 bits" in do("alias", "x", "org/ours", "-p", parameter).err
    assert names(catalogue) == ["org/ours", "org/theirs"]
