"""Qwen3-VL-Embedding's vectors against the published code's (tests/checkpoints/reference_qwen3_vl.py): alone and in
batches.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import InputTooLong, InternalError, InvalidInput
from jobs.settings import Settings
from tests.checkpoints.make import write_json
from tests.checkpoints.qwen3_vl import ASKED, HIDDEN, LAYOUTS, POSITIONS, make, png
from tests.checkpoints.vision import make as make_vision
from tests.checkpoints.weights import changed_weights, quantise
from tests.support import parity
from tests.support.folders import GOLDEN
from tests.support.images import plain
from tests.support.parity import least_cosine, outcomes
from workers.models.open import load_runner, open_runner
from workers.runners.contract import loaded
from workers.runners.embed.mixed_runner import MixedEmbedRunner
from workers.runners.generate.vision.runner import VisionRunner
from workers.runners.vision.mixed_input import MixedItem

REFERENCE = np.load(GOLDEN / "qwen3-vl-embedding.npz")
VECTORS = REFERENCE["vectors"]
IDS = np.split(REFERENCE["ids"], np.cumsum(REFERENCE["counts"])[:-1])
MIN_COSINE = 0.9999


def value_of(parts: Sequence[str | int]) -> str | MixedInput:
    if len(parts) == 1 and isinstance(parts[0], str):
        return parts[0]
    return MixedInput(
        tuple(TextPart(each) if isinstance(each, str) else ImagePart(png(each)) for each in parts)
    )


JOBS = [EmbedJob("m", (value_of(parts),), instruction=instruction) for instruction, parts in ASKED]


@pytest.fixture(scope="module", params=LAYOUTS)
def runner(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MixedEmbedRunner:
    return opened(make(tmp_path_factory.mktemp(request.param) / "qwen3-vl-embedding", request.param))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> MixedEmbedRunner:
    return opened(make(tmp_path_factory.mktemp("one") / "qwen3-vl-embedding"))


def opened(folder: Path) -> MixedEmbedRunner:
    return parity.opened(folder, MixedEmbedRunner)


def prepared(runner: MixedEmbedRunner, jobs: Sequence[EmbedJob] = JOBS) -> list[MixedItem]:
    return parity.prepared(runner, jobs, MixedItem)


def vectors(runner: MixedEmbedRunner, items: Sequence[MixedItem]) -> np.ndarray:
    return np.stack(outcomes(runner, items))


def test_tokens_are_those_of_the_reference(runner: MixedEmbedRunner):
    for item, expected in zip(prepared(runner), IDS, strict=True):
        assert item.ids.tolist() == expected.tolist()


def test_vectors_equal_the_reference_alone_and_in_one_mixed_batch(runner: MixedEmbedRunner):
    items = prepared(runner)
    mixed = vectors(runner, items)
    assert least_cosine(mixed, VECTORS) >= MIN_COSINE
    for item, together, expected in zip(items, mixed, VECTORS, strict=True):
        [alone] = vectors(runner, [item])
        assert least_cosine(alone, expected) >= MIN_COSINE
        assert least_cosine(together, alone) >= 0.999999


def test_reference_tells_its_inputs_apart():
    """Else the cosines above would prove little."""
    alike = {(4, 5)}  # an instruction's full stop and exclamation mark
    cosines = VECTORS @ VECTORS.T
    for a in range(len(ASKED)):
        for b in range(a):
            assert cosines[a, b] < (0.99 if (b, a) in alike else 0.95), (a, b)


def test_order_and_neighbours_do_not_change_a_vector(one: MixedEmbedRunner):
    items = prepared(one)
    random = np.random.default_rng(3)
    for size in (2, 3, 5, 9):
        chosen = random.permutation(len(items))[:size]
        found = vectors(one, [items[number] for number in chosen])
        assert least_cosine(found, VECTORS[chosen]) >= MIN_COSINE


def test_nothing_of_an_image_is_left_for_the_next_input(one: MixedEmbedRunner):
    """The libraries' models keep the positions of their last page."""
    items = prepared(one)
    text, tall, wide, mixed = items[0], items[7], items[11], items[15]
    first = {id(item): vectors(one, [item]) for item in (text, tall, wide, mixed)}
    for item in (tall, text, tall, mixed, wide, text, text, tall):
        np.testing.assert_array_equal(vectors(one, [item]), first[id(item)])


def test_job_s_inputs_share_an_instruction(one: MixedEmbedRunner):
    job = EmbedJob("m", tuple(value_of(parts) for told, parts in ASKED if told is None))
    expected = VECTORS[[told is None for told, _ in ASKED]]
    items = prepared(one, [job])
    result = one.assemble(job, items, one.run(items))
    assert isinstance(result, EmbedResult)
    assert (result.counts, result.grids) == ((), ())
    assert result.tokens == tuple(item.length for item in items)
    assert least_cosine(floats(result), expected) >= MIN_COSINE


def test_cut_vector_has_length_one(one: MixedEmbedRunner):
    job = EmbedJob("m", ("red fox",), dimensions=80)
    items = prepared(one, [job])
    result = one.assemble(job, items, one.run(items))
    assert isinstance(result, EmbedResult)
    found = floats(result)
    assert found.shape == (1, 80)
    assert np.linalg.norm(found) == pytest.approx(1)
    assert least_cosine(found, VECTORS[:1, :80]) >= MIN_COSINE


def floats(result: EmbedResult) -> np.ndarray:
    return np.frombuffer(result.vectors, dtype="<f4").reshape(-1, result.dimensions)


def test_model_says_what_it_is(one: MixedEmbedRunner):
    info = one.info
    assert (info.task, info.tasks, info.abilities) == ("embed", ("embed",), ("vision",))
    assert (info.dimensions, info.min_dimensions, info.max_tokens) == (HIDDEN, 64, POSITIONS)


@pytest.mark.parametrize(
    ("job", "param"),
    [
        (EmbedJob("m", ()), "input"),
        (EmbedJob("m", ("a",), dimensions=63), "dimensions"),
        (EmbedJob("m", ("a",), dimensions=HIDDEN + 1), "dimensions"),
        (EmbedJob("m", ("a",), prompt_name="query"), "prompt_name"),
        (EmbedJob("m", ("a",), instruction="find <|image_pad|>"), "instruction"),
        (EmbedJob("m", ("a", MixedInput((ImagePart(b"no image"),)))), "input"),
        (EmbedJob("m", ("a", MixedInput((ImagePart(png(0)[:900]),)))), "input"),
        (EmbedJob("m", ("a", "fox " * 600)), "input"),
        (EmbedJob("m", ("a", "fox <|image_pad|>")), "input"),
        (EmbedJob("m", ("a", MixedInput((TextPart("<|video_pad|>"), ImagePart(png(3)))))), "input"),
        (EmbedJob("m", ("a", (1, 2, 10_000_000))), "input"),
        (EmbedJob("m", ("a", ())), "input"),
    ],
)
def test_bad_job_is_refused_and_leaves_the_others_alone(one: MixedEmbedRunner, job: EmbedJob, param: str):
    before, refused, after = one.prepare([JOBS[6], job, JOBS[0]])
    assert isinstance(refused, InvalidInput)
    assert refused.param == param
    assert len(job.inputs) < 2 or refused.message.startswith("Input 1: ")
    assert isinstance(before, list)
    assert isinstance(after, list)
    assert [len(before), len(after)] == [1, 1]


def test_overlong_input_with_images_is_refused_also_where_texts_may_be_cut(one: MixedEmbedRunner):
    overlong = MixedInput((ImagePart(png(0)), TextPart("fox " * 600)))
    [refused] = one.prepare([EmbedJob("m", (overlong,), truncate="end")])
    assert isinstance(refused, InputTooLong)
    assert "with its images" in refused.message


def test_input_type_alone_changes_nothing(one: MixedEmbedRunner):
    for input_type in ("query", "document"):
        [item] = prepared(one, [replace_type(JOBS[0], input_type)])
        assert item.ids.tolist() == IDS[0].tolist()


def replace_type(job: EmbedJob, input_type: Any) -> EmbedJob:
    return EmbedJob(job.model, job.inputs, input_type=input_type)


def test_folder_s_own_prompts_are_instructions(tmp_path: Path):
    folder = make(tmp_path / "qwen3-vl-embedding")
    prompts = {"query": "Find songs of the sea.", "document": ""}
    write_json(folder / "config_sentence_transformers.json", {"prompts": prompts})
    found = opened(folder)
    assert found.info.prompts == ("query", "document")
    for job in (
        EmbedJob("m", ("red fox",), prompt_name="query"),
        EmbedJob("m", ("red fox",), input_type="query"),
    ):
        assert prepared(found, [job])[0].ids.tolist() == IDS[4].tolist()
    for job in (EmbedJob("m", ("red fox",), input_type="document"), EmbedJob("m", ("red fox",))):
        assert prepared(found, [job])[0].ids.tolist() == IDS[0].tolist()
    both = EmbedJob("m", ("red fox",), prompt_name="query", instruction="find")
    [refused] = found.prepare([both])
    assert isinstance(refused, InvalidInput)


def test_vector_that_is_not_sound_fails_its_item_alone(
    one: MixedEmbedRunner, monkeypatch: pytest.MonkeyPatch
):
    items = prepared(one)[:3]

    def broken(*batch: Any) -> Any:
        found = np.array(network(*batch))
        found[1, items[1].length - 1, 3] = np.nan
        found[2, items[2].length :] = np.nan  # padding, which no vector is of
        return mx.array(found)

    network: Any = one._network
    monkeypatch.setattr(one, "_network", broken)
    outcomes = one.run(items)
    assert [isinstance(each, InternalError) for each in outcomes] == [False, True, False]


def test_weights_leave_and_come_back(tmp_path: Path):
    runner = opened(make(tmp_path / "qwen3-vl-embedding"))
    runner.unload()
    items = prepared(runner)  # needs no weights
    loaded(runner)
    assert least_cosine(vectors(runner, items), VECTORS) >= MIN_COSINE
    assert runner.weight_bytes > 0


@pytest.mark.parametrize(
    ("named", "rows", "columns"),
    [
        ({"size": {"longest_edge": 16777216, "shortest_edge": 65536}}, 50, 35),
        ({"size": {}}, 50, 35),
        ({"size": {}, "max_pixels": 32 * 32 * 10}, 3, 2),
    ],
)
def test_pixel_budget_is_clamped_and_a_lower_one_is_kept(
    tmp_path: Path, named: dict[str, Any], rows: int, columns: int
):
    folder = make(tmp_path / "qwen3-vl-embedding")
    change(folder / "config.json", "text_config", {"max_position_embeddings": 4096})
    processor = json.loads((folder / "preprocessor_config.json").read_text())
    write_json(folder / "preprocessor_config.json", {**processor, **named})
    runner = open_runner(str(folder), Settings())
    assert isinstance(runner, MixedEmbedRunner)
    large, small = plain(1240, 1754), plain(20, 20)
    items = prepared(
        runner, [EmbedJob("m", (MixedInput((ImagePart(large),)), MixedInput((ImagePart(small),))))]
    )
    assert [(grid.rows, grid.columns) for item in items for grid in item.grids] == [(rows, columns), (2, 2)]


def change(file: Path, part: str, changes: dict[str, Any]) -> None:
    config = json.loads(file.read_text())
    changed = {key: value for key, value in {**config[part], **changes}.items() if value is not None}
    write_json(file, {**config, part: changed})


def test_limit_is_the_model_card_s(tmp_path: Path):
    folder = make(tmp_path / "qwen3-vl-embedding")
    change(folder / "config.json", "text_config", {"max_position_embeddings": 262144})
    assert open_runner(str(folder), Settings()).info.max_tokens == 32768


@pytest.mark.parametrize(
    ("part", "changes", "words"),
    [
        ("text_config", {"hidden_act": "gelu"}, "hidden_act"),
        ("text_config", {"attention_bias": True}, "attention_bias"),
        ("text_config", {"rope_scaling": {"rope_type": "yarn", "mrope_section": [4, 4, 4]}}, "rotary"),
        ("text_config", {"rope_scaling": {"mrope_interleaved": False, "mrope_section": [4, 4, 4]}}, "rotary"),
        ("text_config", {"num_attention_heads": None}, "config.json"),
        ("vision_config", {"depth": None}, "depth"),
        ("vision_config", {"hidden_act": "gelu"}, "hidden_act"),
        ("vision_config", {"out_hidden_size": 64}, "vision tower"),
    ],
)
def test_what_would_be_computed_wrongly_is_refused(
    tmp_path: Path, part: str, changes: dict[str, Any], words: str
):
    folder = make(tmp_path / "qwen3-vl-embedding")
    change(folder / "config.json", part, changes)
    with pytest.raises(InvalidInput, match=words):
        open_runner(str(folder), Settings())


def test_pooling_of_another_kind_is_refused(tmp_path: Path):
    folder = make(tmp_path / "qwen3-vl-embedding")
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode_mean_tokens": True})
    with pytest.raises(InvalidInput, match="pooling mean"):
        open_runner(str(folder), Settings())


def test_missing_weights_are_named(tmp_path: Path):
    folder = make(tmp_path / "qwen3-vl-embedding")
    with changed_weights(folder) as weights:
        del weights["model.visual.deepstack_merger_list.1.norm.weight"]
    with pytest.raises(InvalidInput, match=r"vision\.deepstack_merger_list\.1\.norm\.weight"):
        open_runner(str(folder), Settings())


def test_weights_that_make_no_sound_vector_are_refused_when_loaded(tmp_path: Path):
    folder = make(tmp_path / "qwen3-vl-embedding")
    with changed_weights(folder) as weights:
        weights["model.visual.merger.linear_fc2.bias"][:] = np.nan
    with pytest.raises(InvalidInput, match="not finite"):
        load_runner(str(folder), Settings())


def test_quantised_weights_give_nearly_the_same_vectors(tmp_path: Path):
    folder = make(tmp_path / "qwen3-vl-embedding", "mlx")

    def bits_of(name: str, value: np.ndarray) -> int | None:
        if not name.startswith("language_model.") or value.ndim != 2:
            return None
        return 6 if "embed_tokens" in name else 8

    quantise(folder, bits_of, **{"language_model.model.embed_tokens": {"group_size": 32, "bits": 6}})
    runner = opened(folder)
    assert least_cosine(vectors(runner, prepared(runner)), VECTORS) >= 0.95


def test_head_of_the_language_model_is_left_out(tmp_path: Path):
    runner = opened(make(tmp_path / "qwen3-vl-embedding", tied=False))
    assert vectors(runner, prepared(runner)[:1]).shape == (1, HIDDEN)


def test_model_is_known_by_its_type_its_name_or_its_files(tmp_path: Path):
    named = make(tmp_path / "Qwen3-VL-Embedding-2B")
    assert isinstance(open_runner(str(named), Settings()), MixedEmbedRunner)
    other = make(tmp_path / "m")
    write_json(other / "modules.json", modules())
    write_json(other / "1_Pooling" / "config.json", {"pooling_mode_lasttoken": True})
    assert isinstance(open_runner(str(other), Settings()), MixedEmbedRunner)
    typed = make(tmp_path / "n", "mlx")
    config = json.loads((typed / "config.json").read_text())
    write_json(typed / "config.json", {**config, "model_type": "qwen3_vl_embedding"})
    assert isinstance(open_runner(str(typed), Settings()), MixedEmbedRunner)
    writer = open_runner(str(make_vision("qwen3_vl", tmp_path / "qwen3_vl")), Settings())
    assert isinstance(writer, VisionRunner)


def modules() -> list[dict[str, Any]]:
    return [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
