"""What the files of a text generator's folder say of its vectors: pooling, prompts, limits, kinds of numbers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx import nn
from mlx.utils import tree_flatten
from mlx_lm.utils import load_model
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import EmbedJob
from jobs.errors import InputTooLong, InvalidInput
from jobs.settings import Settings
from tests.checkpoints import generators, vision
from tests.checkpoints.colqwen import png
from tests.checkpoints.make import write_json
from tests.checkpoints.texts import SMALL_TEXTS
from tests.support import parity
from workers.models.open import open_runner
from workers.runners.embed.runner import EmbedItem, EmbedRunner

JOB = EmbedJob("m", SMALL_TEXTS)
MIXED = EmbedJob(
    "m",
    (
        "a fox",
        MixedInput((ImagePart(png(0)),)),
        MixedInput(
            (
                TextPart("see"),
                ImagePart(png(4)),
                TextPart(" and the lake"),
                ImagePart(png(5)),
            )
        ),
    ),
)
PROMPTS = {"search": "Instruct: Find what is meant\nQuery: ", "plain": ""}


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A generator that was trained to embed, as e5-mistral-7b-instruct is laid out."""
    folder = generators.make("llama", tmp_path / "m")
    write_modules(folder)
    write_json(folder / "config_sentence_transformers.json", {"prompts": PROMPTS})
    return folder


def write_modules(folder: Path, *dense: str) -> None:
    """The last token's state, then dense layers."""
    kinds = ["Transformer", "Pooling", *("Dense" for _ in dense), "Normalize"]
    paths = ["", "1_Pooling", *dense, "9_Normalize"]
    entries = [
        {"path": path, "type": f"sentence_transformers.models.{kind}"}
        for kind, path in zip(kinds, paths, strict=True)
    ]
    write_json(folder / "modules.json", entries)
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode_lasttoken": True})


def with_dense(folder: Path) -> np.ndarray:
    """Put a dense layer behind the folder's pooling. Its weight, (16, 64)."""
    write_modules(folder, "2_Dense")
    sizes = {"in_features": 64, "out_features": 16}
    write_json(folder / "2_Dense" / "config.json", {**sizes, "bias": False, "activation_function": None})
    weight = np.random.default_rng(3).normal(size=(16, 64)).astype(np.float32)
    save_file({"linear.weight": weight}, folder / "2_Dense" / "model.safetensors")
    return weight


def opened(folder: Path) -> EmbedRunner:
    return parity.opened(f"{folder},task=embed", EmbedRunner)


def items_of(runner: EmbedRunner, *jobs: EmbedJob) -> list[EmbedItem]:
    return parity.prepared(runner, jobs, EmbedItem)


def found_of(runner: EmbedRunner, job: EmbedJob = JOB) -> np.ndarray:
    return np.stack(parity.outcomes(runner, items_of(runner, job)))


def hidden_of(folder: Path, ids: np.ndarray) -> np.ndarray:
    """(tokens, size), of one text alone."""
    model: Any = load_model(folder)[0]
    return np.array(model.model(mx.array(ids)[None])[0])


def changed(path: Path, **changes: Any) -> None:
    """None takes a key away."""
    found = {**json.loads(path.read_text()), **changes}
    write_json(path, {name: value for name, value in found.items() if value is not None})


def test_last_token_is_the_vector_where_the_folder_says_so(trained: Path):
    runner = opened(trained)
    items = items_of(runner, JOB)
    expected = np.stack([hidden_of(trained, item.ids)[-1] for item in items])
    assert parity.least_cosine(found_of(runner), expected) >= 0.99999
    means = np.stack([hidden_of(trained, item.ids).mean(axis=0) for item in items])
    assert parity.least_cosine(expected, means) < 0.9  # else this proved nothing


def test_pooling_without_a_list_of_modules_is_honoured(trained: Path):
    expected = found_of(opened(trained))
    (trained / "modules.json").unlink()
    np.testing.assert_array_equal(found_of(opened(trained)), expected)


def test_prompts_are_those_of_the_folder(trained: Path):
    runner = opened(trained)
    assert runner.info.prompts == ("search", "plain")
    [named] = items_of(runner, EmbedJob("m", ("red fox",), prompt_name="search"))
    [told] = items_of(runner, EmbedJob("m", ("red fox",), instruction="Find what is meant"))
    [read] = items_of(runner, EmbedJob("m", (PROMPTS["search"] + "red fox",)))
    assert named.ids.tolist() == told.ids.tolist() == read.ids.tolist()


@pytest.mark.parametrize("with_vision", [False, True])
def test_dense_layers_come_after_pooling(trained: Path, tmp_path: Path, with_vision: bool):
    folder, job = trained, JOB
    if with_vision:
        folder, job = vision.make("qwen2_5_vl", tmp_path / "with_vision"), MIXED
        write_modules(folder)
    plain = found_of(opened(folder), job)
    weight = with_dense(folder)
    runner = opened(folder)
    assert runner.info.dimensions == 16
    assert parity.least_cosine(found_of(runner, job), plain @ weight.T) >= 0.99999


def test_what_modules_ask_for_and_is_not_supported_is_refused(trained: Path):
    write_json(trained / "1_Pooling" / "config.json", {"pooling_mode_weightedmean_tokens": True})
    with pytest.raises(InvalidInput, match="weightedmean is not supported"):
        opened(trained)


def test_files_that_contradict_each_other_about_a_texts_end_are_refused(trained: Path):
    changed(trained / "tokenizer_config.json", add_eos_token=True)
    with pytest.raises(InvalidInput, match=r"puts no <\|im_end\|> after a text"):
        opened(trained)
    tokenizer = Tokenizer.from_file(str(trained / "tokenizer.json"))
    named = [("<s>", 1), ("<|im_end|>", 3)]
    setattr(  # noqa: B010  # which pyright does not know to be settable
        tokenizer, "post_processor", TemplateProcessing(single="<s> $A <|im_end|>", special_tokens=named)
    )
    tokenizer.save(str(trained / "tokenizer.json"))
    [item] = items_of(opened(trained), EmbedJob("m", ("fox",)))
    assert item.ids[-1] == 3


def test_vision_model_honours_its_folder_in_texts_and_images(tmp_path: Path):
    folder = vision.make("qwen2_5_vl", tmp_path / "m")
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode_lasttoken": True})
    last = opened(folder)
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode_max_tokens": True})
    most = opened(folder)
    for each in items_of(last, MIXED):
        whole = last_states(last, each)
        assert parity.least_cosine(parity.outcomes(last, [each])[0], whole[-1]) >= 0.99999
        assert parity.least_cosine(parity.outcomes(most, [each])[0], whole.max(axis=0)) >= 0.99999


def last_states(runner: Any, item: Any) -> np.ndarray:
    encoder = runner._network.encoder
    found = (
        encoder.hidden_of(item)
        if hasattr(item, "image_inputs")
        else encoder.hidden(mx.array(item.ids)[None], None)
    )
    return np.array(found)[0]


@pytest.mark.parametrize(("name", "limit"), [("mamba", None), ("llama", 131_072)])
def test_no_more_is_read_than_fits_one_pass(tmp_path: Path, name: str, limit: int | None):
    folder = generators.make(name, tmp_path / "m")
    changed(folder / "config.json", max_position_embeddings=limit)
    runner = open_runner(f"{folder},task=embed", Settings())
    assert isinstance(runner, EmbedRunner)
    assert runner.info.max_tokens == 8192
    long = tuple([5] * 9000)
    [error] = runner.prepare([EmbedJob("m", (long,))])
    assert isinstance(error, InputTooLong)
    assert "maximum context length is 8192 tokens" in error.message
    [item] = items_of(runner, EmbedJob("m", (long,), truncate="end"))
    assert item.length == 8192


def test_no_longer_input_is_read_than_fits_one_pass(tmp_path: Path):
    folder = vision.make("qwen2_5_vl", tmp_path / "m")
    changed(folder / "config.json", max_position_embeddings=131_072)
    assert open_runner(f"{folder},task=embed", Settings()).info.max_tokens == 8192


def halves(folder: Path, *, stored: str) -> Path:
    """The folder's values, rounded to bfloat16, and stored as such, or as float32."""
    weights = {name: mx.array(value) for name, value in load_file(folder / "model.safetensors").items()}
    kind = getattr(mx, stored)
    rounded = {name: value.astype(mx.bfloat16).astype(kind) for name, value in weights.items()}
    mx.save_safetensors(str(folder / "model.safetensors"), rounded, {"format": "mlx"})
    return folder


@pytest.fixture
def on_cpu() -> Iterator[None]:
    before = mx.default_device()
    mx.set_default_device(mx.Device(mx.cpu))
    yield
    mx.set_default_device(before)


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("name", ["llama", "gemma2", "mamba", "qwen2_5_vl", "smolvlm"])
def test_half_precision_is_computed_as_precisely_as_single_on_a_cpu(tmp_path: Path, name: str):
    text = name in generators.NAMES
    make, job = (generators.make, JOB) if text else (vision.make, MIXED)
    kinds = ("bfloat16", "float32")
    half, single = (opened(halves(make(name, tmp_path / kind / "m"), stored=kind)) for kind in kinds)
    assert half.weight_bytes == single.weight_bytes
    assert parity.least_cosine(found_of(half, job), found_of(single, job)) >= 0.999999


@pytest.mark.usefixtures("on_cpu")
def test_quantised_weights_stay_packed_on_a_cpu(tmp_path: Path):
    folder = halves(generators.make("llama", tmp_path / "m"), stored="bfloat16")
    whole = opened(folder)
    model: Any = load_model(folder)[0]
    nn.quantize(model, group_size=32, bits=8)
    weights: Any = dict(tree_flatten(model.parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, {"format": "mlx"})
    changed(folder / "config.json", quantization={"group_size": 32, "bits": 8})
    packed = opened(folder)
    assert packed.weight_bytes < 0.5 * whole.weight_bytes
    assert parity.least_cosine(found_of(packed), found_of(whole)) >= 0.999


def test_tokens_known_are_the_models_where_config_json_leaves_them_out(tmp_path: Path):
    folder = generators.make("phi", tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    for name, value in weights.items():
        if name.endswith(("embed_tokens.weight", "lm_head.weight", "lm_head.bias")):
            rows = np.zeros((51_200, *value.shape[1:]), np.float16)  # those of the library's Phi
            rows[: len(value)] = value
            weights[name] = rows
    save_file(weights, folder / "model.safetensors", metadata={"format": "mlx"})
    changed(folder / "config.json", vocab_size=None)
    runner = opened(folder)
    [error] = runner.prepare([EmbedJob("m", ((1, 10_000_000),))])
    assert "(0 to 51199)" in str(error)


def test_model_whose_tokens_nobody_names_is_refused(tmp_path: Path):
    folder = generators.make("llama", tmp_path / "m")
    changed(folder / "config.json", vocab_size=None)
    with pytest.raises(InvalidInput, match="vocab_size"):
        opened(folder)
