"""Mean hidden states of text generators and vision-language models against transformers'
(tests/checkpoints/reference_generators.py, reference_vision_generators.py).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load_model
from safetensors.numpy import load_file, save_file

from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import InputTooLong, InvalidInput, JobError
from jobs.settings import Settings
from tests.checkpoints import generators, vision
from tests.checkpoints.colqwen import png
from tests.checkpoints.rerankers import make as make_reranker
from tests.checkpoints.texts import SMALL_TEXTS
from tests.checkpoints.vision_inputs import VISION_INPUTS
from tests.support import parity
from tests.support.folders import GOLDEN
from workers.models.open import open_runner
from workers.runners.contract import loaded
from workers.runners.embed.runner import EmbedItem, EmbedRunner

MIN_COSINE = 0.9999
VISION_REQUIRED = ("qwen2_5_vl", "qwen3_vl", "qwen3_5", "smolvlm")

TEXTS = EmbedJob("m", SMALL_TEXTS)
MIXED = EmbedJob(
    "m",
    tuple(
        parts[0]
        if len(parts) == 1 and isinstance(parts[0], str)
        else MixedInput(
            tuple(TextPart(each) if isinstance(each, str) else ImagePart(png(each)) for each in parts)
        )
        for parts in VISION_INPUTS
    ),
)


class Golden:
    """What vectors and tokens should be, input by input."""

    def __init__(self, name: str) -> None:
        stored = np.load(GOLDEN / f"{name}.npz")
        self.vectors: np.ndarray = stored["vectors"]
        self.tokens: list[int] = stored["tokens"].tolist()


Case = tuple[Golden, EmbedRunner, EmbedJob]
ALL = [*(f"pooled-{name}" for name in generators.NAMES), *(f"seeing-{name}" for name in VISION_REQUIRED)]


@pytest.fixture(scope="module", params=ALL)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    kind, _, name = request.param.partition("-")
    folder = tmp_path_factory.mktemp("writer") / "m"
    made = generators.make(name, folder) if kind == "pooled" else vision.make(name, folder)
    return Golden(request.param), opened(made), TEXTS if kind == "pooled" else MIXED


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generators.make("llama", tmp_path_factory.mktemp("llama") / "writer")


@pytest.fixture(scope="module")
def one(folder: Path) -> EmbedRunner:
    return opened(folder)


@pytest.fixture(scope="module")
def vision_runner(tmp_path_factory: pytest.TempPathFactory) -> EmbedRunner:
    return opened(vision.make("qwen2_5_vl", tmp_path_factory.mktemp("seeing") / "m"))


def opened(folder: Path, parts: str = "") -> EmbedRunner:
    return parity.opened(f"{folder},task=embed{parts}", EmbedRunner)


def prepared(runner: EmbedRunner, *jobs: EmbedJob) -> list[EmbedItem]:
    return parity.prepared(runner, jobs, EmbedItem)


def vectors(runner: EmbedRunner, items: Sequence[EmbedItem]) -> np.ndarray:
    return np.stack(parity.outcomes(runner, items))


def cosines(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return (found.astype(np.float64) * expected.astype(np.float64)).sum(axis=1)


def refusal(runner: EmbedRunner, job: EmbedJob) -> JobError:
    [found] = runner.prepare([job])
    assert isinstance(found, JobError)
    return found


def test_vectors_equal_the_reference_alone_and_in_one_mixed_batch(case: Case):
    golden, runner, job = case
    items = prepared(runner, job)
    assert [item.length for item in items] == golden.tokens
    together = vectors(runner, items)
    alone = np.concatenate([vectors(runner, [item]) for item in items])
    assert cosines(together, golden.vectors).min() >= MIN_COSINE
    assert cosines(alone, golden.vectors).min() >= MIN_COSINE
    assert cosines(together, alone).min() >= 0.999999
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_order_and_neighbours_do_not_change_a_vector(case: Case):
    golden, runner, job = case
    items = prepared(runner, job)
    random = np.random.default_rng(5)
    for size in (2, 3, 5):
        chosen = random.permutation(len(items))[:size]
        found = vectors(runner, [items[number] for number in chosen])
        assert cosines(found, golden.vectors[chosen]).min() >= MIN_COSINE


def test_nothing_of_an_input_is_left_for_the_next_one(case: Case):
    """Vision models of the library keep the positions of their last page."""
    _, runner, job = case
    items = prepared(runner, job)
    first = [vectors(runner, [item]) for item in items]
    for number in (1, 0, 1, 2, 3, 0, 4, 5, 1, 6, 2):
        np.testing.assert_array_equal(vectors(runner, [items[number]]), first[number])


def test_reference_tells_inputs_apart():
    """Else the cosines above would prove little."""
    for name in ALL:
        found = Golden(name).vectors
        assert np.abs(np.corrcoef(found) - np.eye(len(found))).mean() < 0.7, name


def test_model_says_what_it_is(one: EmbedRunner, vision_runner: EmbedRunner):
    for runner, limit, abilities in ((one, 256, ()), (vision_runner, 512, ("vision",))):
        info = runner.info
        assert (info.task, info.dimensions, info.max_tokens) == ("embed", 64, limit)
        assert (info.min_dimensions, info.prompts, info.abilities) == (None, (), abilities)


def test_the_same_folder_writes_under_one_name_and_embeds_under_another(folder: Path):
    writer, embedder = (
        open_runner(spec, Settings()) for spec in (str(folder), f"vectors={folder},task=embed")
    )
    assert (writer.info.id, writer.info.task) == ("writer", "generate")
    assert (embedder.info.id, embedder.info.task) == ("vectors", "embed")
    head_bytes = load_file(folder / "model.safetensors")["lm_head.weight"].nbytes
    assert embedder.weight_bytes == writer.weight_bytes - head_bytes  # which no vector needs


def test_result_is_that_of_an_embedding_model(one: EmbedRunner):
    job = EmbedJob("m", ("red fox", (5, 6, 7)))
    items = prepared(one, job)
    result = one.assemble(job, items, one.run(items))
    assert isinstance(result, EmbedResult)
    assert (result.dimensions, result.counts, result.tokens[1]) == (64, (), 4)  # <s> and the ids
    assert len(result.vectors) == 2 * 64 * 4


def test_instruction_goes_before_the_text(one: EmbedRunner, vision_runner: EmbedRunner):
    [told] = prepared(one, EmbedJob("m", ("fox",), instruction="Find: "))
    [read] = prepared(one, EmbedJob("m", ("Find: fox",)))
    assert told.ids.tolist() == read.ids.tolist()
    image = ImagePart(png(0))
    [told] = prepared(vision_runner, EmbedJob("m", (MixedInput((image,)),), instruction="Find: "))
    [read] = prepared(vision_runner, EmbedJob("m", (MixedInput((TextPart("Find: "), image)),)))
    assert told.ids.tolist() == read.ids.tolist()


@pytest.mark.parametrize(
    ("job", "kind", "param"),
    [
        (EmbedJob("m", ()), InvalidInput, "input"),
        (EmbedJob("m", ("a",), dimensions=32), InvalidInput, "dimensions"),
        (EmbedJob("m", ("a",), prompt_name="query"), InvalidInput, "prompt_name"),
        (EmbedJob("m", ("a", "fox " * 600)), InputTooLong, "input"),
        (EmbedJob("m", ("a", (1, 10_000_000))), InvalidInput, "input"),
    ],
)
def test_bad_job_is_refused(
    one: EmbedRunner, vision_runner: EmbedRunner, job: EmbedJob, kind: type[JobError], param: str
):
    for runner in (one, vision_runner):
        error = refusal(runner, job)
        assert isinstance(error, kind)
        assert error.param == param
        assert len(job.inputs) < 2 or error.message.startswith("Input 1: ")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((ImagePart(b"no image"),), "in no format"),
        ((ImagePart(png(0)), TextPart("<|image_pad|>")), r"holds <\|image_pad\|>"),
        ((ImagePart(png(0)), TextPart("fox " * 600)), "maximum context length is 512 tokens"),
    ],
)
def test_bad_image_is_refused(vision_runner: EmbedRunner, parts: tuple[Any, ...], words: str):
    error = refusal(vision_runner, EmbedJob("m", ("a", MixedInput(parts))))
    assert isinstance(error, InvalidInput)
    assert error.param == "input"
    with pytest.raises(InvalidInput, match=f"Input 1: .*{words}"):
        raise error


def test_text_model_refuses_images(one: EmbedRunner):
    assert "no images" in refusal(one, EmbedJob("m", (MixedInput((ImagePart(png(0)),)),))).message


def test_model_whose_images_the_library_masks_wrongly_embeds_texts_only(tmp_path: Path):
    runner = opened(vision.make("gemma3", tmp_path / "m"))
    assert runner.info.abilities == ()
    golden = Golden("seeing-gemma3").vectors
    texts = [number for number, value in enumerate(MIXED.inputs) if isinstance(value, str)]
    items = prepared(runner, EmbedJob("m", tuple(MIXED.inputs[number] for number in texts)))
    assert cosines(vectors(runner, items), golden[texts]).min() >= MIN_COSINE
    assert "no images" in refusal(runner, MIXED).message


def test_weights_leave_and_come_back(case: Case):
    golden, runner, job = case
    items = prepared(runner, job)
    runner.unload()
    assert prepared(runner, job)[1].length == items[1].length  # needs no weights
    loaded(runner)
    assert cosines(vectors(runner, items), golden.vectors).min() >= MIN_COSINE


def test_adapter_is_honoured(folder: Path, one: EmbedRunner, tmp_path: Path):
    settings = {"num_layers": 2, "lora_parameters": {"rank": 4, "scale": 4.0, "dropout": 0.0}}
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"fine_tune_type": "lora", **settings}))
    model: Any = load_model(folder)[0]
    model.freeze()
    linear_to_lora_layers(model, settings["num_layers"], settings["lora_parameters"])
    flat: Any = tree_flatten(model.trainable_parameters())
    random = np.random.default_rng(7)
    drawn = {name: random.normal(0, 0.3, value.shape).astype(np.float32) for name, value in flat}
    save_file(drawn, adapter / "adapters.safetensors")
    model.load_weights([(name, mx.array(value)) for name, value in drawn.items()], strict=False)

    adapted = opened(folder, f",adapter={adapter}")
    items = prepared(adapted, TEXTS)
    found = vectors(adapted, items)
    expected = [np.array(model.model(mx.array(item.ids)[None])[0].mean(axis=0)) for item in items]
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    assert cosines(found, np.stack(expected) / lengths).min() >= MIN_COSINE
    assert cosines(found, vectors(one, items))[1:].max() < 0.99


def changed(folder: Path, **changes: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


def test_what_reads_both_ways_is_refused(tmp_path: Path):
    for number, change in enumerate(({"architectures": ["Lfm2BidirectionalModel"]}, {"is_causal": False})):
        made = changed(generators.make("lfm2", tmp_path / str(number)), **change)
        with pytest.raises(InvalidInput, match="reads both ways"):
            open_runner(f"{made},task=embed", Settings())


def test_draft_and_a_vision_models_adapter_are_refused(folder: Path, tmp_path: Path):
    with pytest.raises(InvalidInput, match="a draft can only write"):
        open_runner(f"{folder},task=embed,draft={folder}", Settings())
    for file in ("adapter_config.json", "adapters.safetensors"):
        (tmp_path / file).touch()
    made = vision.make("smolvlm", tmp_path / "smolvlm")
    with pytest.raises(InvalidInput, match="vision model, which cannot have an adapter"):
        open_runner(f"{made},task=embed,adapter={tmp_path}", Settings())


def test_reranker_makes_no_vectors(tmp_path: Path):
    made = make_reranker("bert", tmp_path / "judge")
    with pytest.raises(InvalidInput, match="is a reranker, and makes no vectors"):
        open_runner(f"{made},task=embed", Settings())


def test_weights_that_make_no_sound_vector_are_refused_when_loaded(tmp_path: Path):
    made = generators.make("qwen3", tmp_path / "m")
    weights = load_file(made / "model.safetensors")
    weights["model.norm.weight"][:] = np.nan
    save_file(weights, made / "model.safetensors")
    with pytest.raises(InvalidInput, match="not finite"):
        opened(made)
