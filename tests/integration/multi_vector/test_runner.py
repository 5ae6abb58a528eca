"""ColQwen2.5's vectors against colpali_engine's (tests/checkpoints/reference_multi_vector.py): alone and in batches."""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from PIL import Image

from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import EmbedJob, EmbedResult, PatchGrid
from jobs.errors import InternalError, InvalidInput
from jobs.settings import Settings
from tests.checkpoints import colidefics
from tests.checkpoints.colqwen import (
    DIMENSIONS,
    DOCUMENTS,
    IMAGE_SIZES,
    LAYOUTS,
    MAX_BLOCKS,
    QUERIES,
    make,
    png,
)
from tests.checkpoints.vision import make as make_vision
from tests.checkpoints.weights import changed_weights, quantise
from tests.support import parity
from tests.support.folders import GOLDEN
from tests.support.images import plain
from tests.support.parity import least_cosine, outcomes
from workers.models.open import load_runner, open_runner
from workers.runners.contract import loaded
from workers.runners.generate.vision.runner import VisionRunner
from workers.runners.multi_vector.mixed_prompts import MixedItem
from workers.runners.multi_vector.runner import MultiVectorRunner
from workers.runners.vision.images import decode

MIN_COSINE = 0.9999


class Golden:
    """What a family's vectors and ids should be, input by input, and the jobs that they are of."""

    def __init__(self, name: str, make: Callable[[Path, str], Path], pages: Sequence[int]) -> None:
        stored = np.load(GOLDEN / f"{name}.npz")
        ends = np.cumsum(stored["counts"])[:-1]
        self.vectors = np.split(stored["vectors"], ends)
        self.ids = np.split(stored["ids"], ends)
        self.make = make
        self.jobs = [
            EmbedJob("m", QUERIES),
            EmbedJob("m", DOCUMENTS, input_type="document"),
            EmbedJob("m", tuple(MixedInput((ImagePart(png(number)),)) for number in pages)),
        ]


QWEN = Golden("colqwen2_5", make, range(len(IMAGE_SIZES)))
IDEFICS = Golden("colidefics3", colidefics.make, colidefics.IMAGES)
CASES = [(QWEN, layout) for layout in LAYOUTS] + [(IDEFICS, layout) for layout in colidefics.LAYOUTS]
JOBS, EXPECTED = QWEN.jobs, QWEN.vectors

Case = tuple[Golden, MultiVectorRunner]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0].make.__module__[18:]}-{case[1]}")
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    golden, layout = request.param
    return golden, opened(golden.make(tmp_path_factory.mktemp("late") / "m", layout))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> MultiVectorRunner:
    return opened(make(tmp_path_factory.mktemp("colqwen") / "m"))


def opened(folder: Path) -> MultiVectorRunner:
    return parity.opened(folder, MultiVectorRunner)


def prepared(runner: MultiVectorRunner, jobs: Sequence[EmbedJob] = QWEN.jobs) -> list[MixedItem]:
    return parity.prepared(runner, jobs, MixedItem)


def test_tokens_are_those_of_the_reference(case: Case):
    golden, runner = case
    for item, expected in zip(prepared(runner, golden.jobs), golden.ids, strict=True):
        assert item.ids.tolist() == expected.tolist()


def test_vectors_equal_the_reference_alone_and_in_one_mixed_batch(case: Case):
    golden, runner = case
    items = prepared(runner, golden.jobs)
    mixed = outcomes(runner, items)
    for item, together, expected in zip(items, mixed, golden.vectors, strict=True):
        [alone] = outcomes(runner, [item])
        assert least_cosine(alone, expected) >= MIN_COSINE
        assert least_cosine(together, expected) >= MIN_COSINE
        assert least_cosine(together, alone) >= 0.999999


def test_reference_tells_images_and_queries_apart():
    """Else the cosines above would prove little."""
    pages = EXPECTED[-len(IMAGE_SIZES) :]
    assert least_cosine(pages[0][:29], pages[1][:29]) < 0.9
    assert np.abs(np.corrcoef(pages[0])).mean() < 0.7


def test_order_and_neighbours_do_not_change_a_vector(case: Case):
    golden, runner = case
    items = prepared(runner, golden.jobs)
    random = np.random.default_rng(3)
    for size in (2, 3, 5, 9):
        chosen = random.permutation(len(items))[:size]
        found = outcomes(runner, [items[number] for number in chosen])
        for number, each in zip(chosen, found, strict=True):
            assert least_cosine(each, golden.vectors[number]) >= MIN_COSINE


def test_nothing_of_an_image_is_left_for_the_next_input(case: Case):
    """The libraries' models keep the positions of their last page."""
    golden, runner = case
    items = prepared(runner, golden.jobs)
    tall, wide, short, text = items[-3], items[-1], items[0], items[5]
    first = {id(item): outcomes(runner, [item])[0] for item in (tall, wide, short, text)}
    for item in (tall, short, tall, text, wide, tall, short, short):
        np.testing.assert_array_equal(outcomes(runner, [item])[0], first[id(item)])


def test_grids_are_where_the_image_tokens_are(case: Case):
    golden, runner = case
    items = prepared(runner, golden.jobs[2:])
    mark = golden.ids[-1][items[-1].grids[0].first]
    for item in items:
        [grid] = item.grids
        assert set(item.ids[grid.first : grid.first + grid.rows * grid.columns].tolist()) == {mark}
        assert np.flatnonzero(item.ids == mark)[-1] == grid.first + grid.rows * grid.columns - 1


def test_result_says_where_the_vectors_are(one: MultiVectorRunner):
    job = EmbedJob(
        "m",
        (
            "red fox",
            MixedInput((ImagePart(png(1)),)),
            MixedInput((ImagePart(png(0)), ImagePart(png(3)))),
        ),
    )
    [items] = one.prepare([job])
    assert isinstance(items, list)
    result = one.assemble(job, items, one.run(items))
    assert isinstance(result, EmbedResult)
    assert result.dimensions == one.info.dimensions == DIMENSIONS
    assert result.counts == result.tokens == tuple(item.length for item in items)
    assert result.grids[:2] == ((), (PatchGrid(7, 11, 3),))
    assert [(grid.rows, grid.columns) for grid in result.grids[2]] == [(5, 8), (2, 2)]
    found = np.frombuffer(result.vectors, dtype="<f4").reshape(-1, DIMENSIONS)
    parts = np.split(found, np.cumsum(result.counts)[:-1])
    assert least_cosine(parts[0], EXPECTED[0]) >= MIN_COSINE
    assert least_cosine(parts[1], EXPECTED[-5]) >= MIN_COSINE
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_texts_alone_have_no_grids(one: MultiVectorRunner):
    [items] = one.prepare(JOBS[:1])
    assert isinstance(items, list)
    result = one.assemble(JOBS[0], items, one.run(items))
    assert isinstance(result, EmbedResult)
    assert result.grids == ()


def test_input_type_and_kind_of_input_decide_how_it_is_read(one: MultiVectorRunner):
    def read(value: Any, input_type: Any = None) -> list[int]:
        return prepared(one, [EmbedJob("m", (value,), input_type=input_type)])[0].ids.tolist()

    assert read("red fox") == read("red fox", "query") != read("red fox", "document")
    words = MixedInput((TextPart("red fox"),))
    assert read(words) == read("red fox", "document")
    assert read(words, "query") == read("red fox", "query")
    image = MixedInput((ImagePart(png(3)),))
    assert read(image) == read(image, "document") == read(image, "query")


@pytest.mark.parametrize(
    ("job", "param"),
    [
        (EmbedJob("m", ()), "input"),
        (EmbedJob("m", ("a",), dimensions=64), "dimensions"),
        (EmbedJob("m", ("a",), prompt_name="query"), "prompt_name"),
        (EmbedJob("m", ("a",), instruction="find it"), "instruction"),
        (EmbedJob("m", ("a", MixedInput((ImagePart(b"no image"),)))), "input"),
        (EmbedJob("m", ("a", MixedInput((ImagePart(png(0)[:900]),)))), "input"),
        (EmbedJob("m", ("a", "fox " * 1100)), "input"),
        (EmbedJob("m", ("a", (1, 2, 10_000_000))), "input"),
        (EmbedJob("m", ("a", MixedInput(()))), "input"),
    ],
)
def test_bad_job_is_refused_and_leaves_the_others_alone(one: MultiVectorRunner, job: EmbedJob, param: str):
    before, refused, after = one.prepare([JOBS[2], job, JOBS[0]])
    assert isinstance(refused, InvalidInput)
    assert refused.param == param
    assert len(job.inputs) < 2 or refused.message.startswith("Input 1: ")
    assert isinstance(before, list)
    assert isinstance(after, list)
    assert [len(before), len(after)] == [len(IMAGE_SIZES), len(QUERIES)]


def test_own_dimensions_may_be_asked_for(one: MultiVectorRunner):
    assert len(prepared(one, [EmbedJob("m", ("a",), dimensions=DIMENSIONS)])) == 1


def test_vector_that_is_not_sound_fails_its_item_alone(
    one: MultiVectorRunner, monkeypatch: pytest.MonkeyPatch
):
    items = prepared(one)[:3]

    def broken(*batch: Any) -> Any:
        found = np.array(network(*batch))
        found[1, 2, 3] = np.nan
        found[2, items[2].length :] = np.nan  # padding, which is not handed out
        return mx.array(found)

    network: Any = one._network
    monkeypatch.setattr(one, "_network", broken)
    outcomes = one.run(items)
    assert [isinstance(each, InternalError) for each in outcomes] == [False, True, False]


def test_weights_leave_and_come_back(tmp_path: Path):
    runner = opened(make(tmp_path / "m"))
    [item, *_] = prepared(runner)
    runner.unload()
    assert prepared(runner)[0].length == item.length  # needs no weights
    loaded(runner)
    assert least_cosine(outcomes(runner, [item])[0], EXPECTED[0]) >= MIN_COSINE
    assert runner.weight_bytes > 0


def test_pixel_budget_is_clamped_and_a_lower_one_is_kept(tmp_path: Path):
    folder = make(tmp_path / "m")
    file = folder / "preprocessor_config.json"
    config = json.loads(file.read_text())
    large = plain(1240, 1754)
    for most, rows, columns in ((12_845_056, 32, 23), (None, 32, 23), (28 * 28 * 10, 3, 2)):
        file.write_text(json.dumps({**config, "max_pixels": most}))
        runner = open_runner(str(folder), Settings())
        assert isinstance(runner, MultiVectorRunner)
        [item] = prepared(runner, [EmbedJob("m", (MixedInput((ImagePart(large),)),))])
        assert [(grid.rows, grid.columns) for grid in item.grids] == [(rows, columns)]
        assert runner.info.image_pixels == min(most or 602_112, 602_112)


def test_images_behind_a_bad_one_are_not_decoded(one: MultiVectorRunner, monkeypatch: pytest.MonkeyPatch):
    decoded: list[bytes] = []

    def noting(data: bytes, param: str) -> Image.Image:
        decoded.append(data)
        time.sleep(0.02)
        return decode(data, param)

    monkeypatch.setattr("workers.runners.multi_vector.mixed_prompts.decode", noting)
    pages = [MixedInput((ImagePart(b"no image"),)), *[MixedInput((ImagePart(plain(20, 20)),))] * 60]
    [error] = one.prepare([EmbedJob("m", tuple(pages))])
    assert isinstance(error, InvalidInput) and error.message.startswith("Input 0: ")
    [after] = one.prepare([EmbedJob("m", (MixedInput((ImagePart(plain(20, 20)),)),))])
    assert isinstance(after, list)
    assert len(decoded) < 40


def test_query_prefix_of_the_processor_is_used(tmp_path: Path):
    folder = make(tmp_path / "m")
    (folder / "processor_config.json").write_text(json.dumps({"query_prefix": "search: "}))
    assert reads_alike(opened(folder), "red fox", "search: red fox")


def reads_alike(runner: MultiVectorRunner, query: str, text: str) -> bool:
    [asked] = prepared(runner, [EmbedJob("m", (query,))])
    [read] = prepared(runner, [EmbedJob("m", (text,), input_type="document")])
    return asked.ids[:-10].tolist() == read.ids.tolist()


def test_quantised_weights_give_nearly_the_same_vectors(tmp_path: Path):
    folder = make(tmp_path / "m", "mlx")
    quantise(
        folder, lambda name, _: 8 if name.endswith("_proj.weight") and ".language_model." in name else None
    )
    runner = opened(folder)
    for item, expected in zip(prepared(runner), EXPECTED, strict=True):
        assert least_cosine(outcomes(runner, [item])[0], expected) >= 0.98


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"use_sliding_window": True}, "use_sliding_window"),
        ({"rope_parameters": {"rope_type": "yarn", "mrope_section": [2, 3, 3]}}, "rotary"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"num_attention_heads": None}, "config.json"),
    ],
)
def test_what_would_be_computed_wrongly_is_refused(tmp_path: Path, change: dict[str, Any], words: str):
    folder = make(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    text = {key: value for key, value in {**config["text_config"], **change}.items() if value is not None}
    (folder / "config.json").write_text(json.dumps({**config, "text_config": text}))
    with pytest.raises(InvalidInput, match=words):
        open_runner(str(folder), Settings())


def test_missing_weights_are_named(tmp_path: Path):
    folder = make(tmp_path / "m")
    with changed_weights(folder) as weights:
        del weights["visual.merger.ln_q.weight"]
    with pytest.raises(InvalidInput, match=r"vision\.merger\.ln_q\.weight"):
        open_runner(str(folder), Settings())


def test_weights_that_make_no_sound_vector_are_refused_when_loaded(tmp_path: Path):
    folder = make(tmp_path / "m")
    with changed_weights(folder) as weights:
        weights["custom_text_proj.bias"][:] = np.nan
    with pytest.raises(InvalidInput, match="not finite"):
        load_runner(str(folder), Settings())


def test_model_is_known_by_its_weights_where_its_config_says_no_more_than_qwen(tmp_path: Path):
    folder = make(tmp_path / "m", "merged")
    config = json.loads((folder / "config.json").read_text())
    del config["architectures"]
    (folder / "config.json").write_text(json.dumps(config))
    assert isinstance(open_runner(str(folder), Settings()), MultiVectorRunner)
    shutil.rmtree(folder)
    writer = open_runner(str(make_vision("qwen2_5_vl", tmp_path / "qwen2_5_vl")), Settings())
    assert isinstance(writer, VisionRunner)


def test_model_says_what_it_is(one: MultiVectorRunner):
    info = one.info
    assert (info.task, info.dimensions, info.abilities) == ("embed", DIMENSIONS, ("multi_vector", "vision"))
    assert (info.min_dimensions, info.prompts, info.max_tokens) == (None, (), 1024)
    assert (info.image_pixels, info.image_edge, info.image_multiple) == (28 * 28 * MAX_BLOCKS, 0, 28)


def test_model_of_tiles_says_how_long_an_image_may_be(tmp_path: Path):
    info = opened(colidefics.make(tmp_path / "m")).info
    edge = colidefics.TILES * colidefics.TILE
    assert (info.image_pixels, info.image_edge, info.image_multiple) == (edge * edge, edge, 1)


def test_idefics_is_known_by_its_weights(tmp_path: Path):
    folder = colidefics.make(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    del config["architectures"]
    (folder / "config.json").write_text(json.dumps(config))
    assert isinstance(open_runner(str(folder), Settings()), MultiVectorRunner)


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        ("text_config", {"attention_bias": True}, "attention_bias"),
        ("text_config", {"rope_parameters": {"rope_type": "llama3"}}, "rope_scaling"),
        ("vision_config", {"hidden_act": "gelu"}, "hidden_act"),
        ("text_config", {"num_attention_heads": None}, "config.json"),
    ],
)
def test_what_would_be_computed_wrongly_of_idefics_is_refused(
    tmp_path: Path, part: str, change: dict[str, Any], words: str
):
    folder = colidefics.make(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    changed = {key: value for key, value in {**config[part], **change}.items() if value is not None}
    (folder / "config.json").write_text(json.dumps({**config, part: changed}))
    with pytest.raises(InvalidInput, match=words):
        open_runner(str(folder), Settings())
