"""A small checkpoint of each kind is quantised, keeps its other files, and is served as before."""

import json
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import pytest
from safetensors import safe_open

from jobs.catalogue.entry import Kind
from jobs.catalogue.pull_lock import give_up, held
from jobs.machines.commands import Progress
from jobs.settings import Settings
from tests.checkpoints import colidefics, colqwen, generators, lfm2_colbert, make, qwen3_vl, rerankers, vision
from workers.hub.problem import PullError
from workers.hub.reporter import Reporter
from workers.models.detect import kind_of
from workers.models.open import open_model
from workers.models.resolve import LocalModel
from workers.pull.quantise.convert import Source, quantise
from workers.pull.quantise.texts import DOCUMENTS, QUERIES

Make = Callable[[str, Path], Path]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Narrow layers are quantised, too, and few texts are compared."""
    monkeypatch.setattr("workers.pull.quantise.weights.MIN_ROWS", 16)
    monkeypatch.setattr("workers.pull.quantise.agreement.QUERIES", QUERIES[:2])
    monkeypatch.setattr("workers.pull.quantise.agreement.DOCUMENTS", DOCUMENTS[:8])


@pytest.fixture
def told() -> list[Progress]:
    return []


def source_of(folder: Path, *, task: str = "") -> Source:
    kind = kind_of(LocalModel(folder.name, folder))
    return Source(folder.name, "0" * 40, folder, kind, task, False)  # type: ignore[arg-type]


def tensors(folder: Path) -> set[str]:
    found: set[str] = set()
    for file in folder.glob("*.safetensors"):
        with safe_open(str(file), framework="numpy") as opened:
            found |= set(opened.keys())
    return found


def other_files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    names = {path: path.relative_to(folder).as_posix() for path in paths}
    skipped = ("config.json", "model.safetensors.index.json", "mlxq.json")
    return {
        name: path.read_bytes()
        for path, name in names.items()
        if name not in skipped and not ("/" not in name and name.endswith(".safetensors"))
    }


KINDS: list[tuple[Make, str, Kind, str]] = [
    (make.make, "bert", "embedding", "mxfp4"),
    (make.make, "modernbert", "embedding", "nvfp4"),
    (make.make, "qwen3", "embedding", "6"),
    (make.make, "gemma3", "embedding", "mxfp4"),
    (rerankers.make, "xlm-roberta", "reranker", "mxfp4"),
    (rerankers.make, "modernbert", "reranker", "nvfp4"),
    (rerankers.make, "qwen3-reranker", "reranker", "8"),
    (lambda _, folder: colqwen.make(folder), "colqwen", "embedding", "4"),
    (lambda _, folder: lfm2_colbert.make(folder), "lfm2-colbert", "embedding", "8"),
    (lambda _, folder: qwen3_vl.make(folder), "qwen3-vl-embedding", "embedding", "6"),
    (generators.make, "llama", "llm", "4"),
    (generators.make, "qwen3_next", "llm", "8"),
    (vision.make, "qwen2_5_vl", "vlm", "6"),
    (vision.make, "gemma3", "vlm", "4"),
]


@pytest.mark.parametrize(
    ("maker", "name", "kind", "how"), KINDS, ids=[f"{each[1]}-{each[3]}" for each in KINDS]
)
def test_a_model_of_each_kind_is_quantised_with_all_its_files(
    tmp_path: Path, told: list[Progress], maker: Make, name: str, kind: Kind, how: str
):
    folder = maker(name, tmp_path / f"my-{name}")
    source = source_of(folder)
    assert source.kind == kind

    made = quantise(source, how, tmp_path / "made" / f"my-{name}-{how}", Reporter(told.append))

    assert any(each.endswith(".scales") for each in tensors(made.folder))
    assert other_files(made.folder) == other_files(folder)
    config = json.loads((made.folder / "config.json").read_text())
    quantisation = config["quantization"]
    assert quantisation["bits"] == (int(how) if how.isdigit() else 4)
    assert quantisation["mode"] == ("affine" if how.isdigit() else how)
    before = json.loads((folder / "config.json").read_text())
    assert {key: value for key, value in config.items() if not key.startswith("quantization")} == before
    assert kind_of(LocalModel(name, made.folder)) == kind
    opened = open_model(LocalModel(name, made.folder), Settings())
    assert opened.weight_bytes < open_model(LocalModel(name, folder), Settings()).weight_bytes
    figures = [line.figures for line in told if line.figures]
    assert len(figures) == (1 if kind in ("embedding", "reranker") else 0)
    for each in figures:
        assert each["rank_correlation"] > 0.5
        assert ("cosine_mean" in each) == (kind == "embedding")
        assert each.get("cosine_mean", 1.0) > 0.8


def test_eight_bits_of_a_real_embedder_change_almost_nothing(tmp_path: Path, told: list[Progress]):
    folder = LocalModel("", bundled()).folder

    quantise(source_of(folder), "8", tmp_path / "small", Reporter(told.append))

    (figures,) = [line.figures for line in told if line.figures]
    assert figures["cosine_min"] > 0.999
    assert figures["same_first"] == figures["queries"]
    assert figures["rank_correlation"] > 0.99
    (said,) = [line.status for line in told if line.figures]
    assert said.startswith("quantised against full: cosine 0.99")
    weights = (tmp_path / "small" / "model.safetensors").stat().st_size
    assert weights < 0.3 * (folder / "model.safetensors").stat().st_size


def bundled() -> Path:
    from workers.models.resolve import bundled_folder

    found = bundled_folder()
    assert found is not None
    return found


def test_a_model_that_writes_and_is_to_embed_is_compared_too(tmp_path: Path, told: list[Progress]):
    folder = generators.make("llama", tmp_path / "writer")

    quantise(source_of(folder, task="embed"), "8", tmp_path / "made", Reporter(told.append))

    assert [line for line in told if line.figures]


def test_shards_keep_their_names_and_the_index_tells_where_each_tensor_is(tmp_path: Path):
    folder = make.make("qwen3", tmp_path / "large")
    weights = mx.load(str(folder / "model.safetensors"))
    assert isinstance(weights, dict)
    names = sorted(weights)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, part in parts.items():
        mx.save_safetensors(str(folder / file), {each: weights[each] for each in part})
    (folder / "model.safetensors").unlink()
    places = {name: file for file, part in parts.items() for name in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))

    made = quantise(source_of(folder), "mxfp4", tmp_path / "made", Reporter(lambda _: None)).folder

    index = json.loads((made / "model.safetensors.index.json").read_text())["weight_map"]
    assert set(index) == tensors(made)
    assert {file: index[name] for name, file in places.items()} == {file: file for file in parts}


@pytest.mark.parametrize("key", ["quantization", "quantization_config"])
def test_what_is_quantised_already_is_refused(tmp_path: Path, key: str):
    folder = make.make("bert", tmp_path / "bert")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, key: {"bits": 4, "group_size": 64}}))

    with pytest.raises(PullError, match="is quantised already"):
        quantise(source_of(folder), "4", tmp_path / "made", Reporter(lambda _: None))


def test_a_program_of_the_models_own_is_not_run(tmp_path: Path):
    folder = generators.make("llama", tmp_path / "llama")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_file": "evil.py"}))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")

    with pytest.raises(PullError, match="brings a program of its own"):
        quantise(source_of(folder), "4", tmp_path / "made", Reporter(lambda _: None))
    assert not (tmp_path / "ran").exists()


def test_what_cannot_be_quantised_leaves_nothing_behind(tmp_path: Path):
    folder = colidefics.make(tmp_path / "odd")  # 48 wide, and a group has 64 or 32

    with pytest.raises(PullError, match="No layer of odd can be quantised to 4 bits"):
        quantise(source_of(folder), "4", tmp_path / "made" / "odd", Reporter(lambda _: None))

    assert [path.name for path in (tmp_path / "made").iterdir()] == [".odd.lock"]


def test_what_was_made_of_the_same_commit_is_taken(tmp_path: Path, told: list[Progress]):
    folder = make.make("bert", tmp_path / "bert")
    first = quantise(source_of(folder), "mxfp4", tmp_path / "made", Reporter(lambda _: None))

    assert quantise(source_of(folder), "mxfp4", tmp_path / "made", Reporter(told.append)) == first
    assert told == []

    newer = source_of(folder)._replace(commit="1" * 40)
    quantise(newer, "mxfp4", tmp_path / "made", Reporter(told.append))
    assert told


def test_what_killed_processes_left_is_swept_and_what_lives_is_not(tmp_path: Path):
    folder = make.make("bert", tmp_path / "bert")
    dead, living = (tmp_path / "made" / f".{name}.new" for name in ("dead", "living"))
    for left in (dead, living):
        left.mkdir(parents=True)

    with held(tmp_path / "made" / ".living.lock", give_up):
        quantise(source_of(folder), "mxfp4", tmp_path / "made" / "bert", Reporter(lambda _: None))

    assert not dead.exists() and living.exists()
