"""Weights that come and go, and adapters: real models, in this process."""

import json
import shutil
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load_model

from jobs.content import TextPart
from jobs.embed import EmbedJob
from jobs.errors import InvalidInput, JobError
from jobs.generate import Chat, GenerateJob, GenerateResult, Message, Sampling
from jobs.settings import Settings
from tests.checkpoints.make import make
from tests.support.folders import TINY_CHAT
from workers.__main__ import load_models, open_models
from workers.models.open import load_runner, open_runner
from workers.runners.contract import loaded
from workers.runners.embed.runner import EmbedRunner
from workers.runners.generate.contract import NewToken, decoder_of
from workers.runners.generate.runner import GenerateRunner

LORA = {"rank": 4, "scale": 10.0, "dropout": 0.0, "keys": ["self_attn.q_proj", "self_attn.v_proj"]}


def vectors(runner: EmbedRunner, *texts: str) -> np.ndarray:
    [items] = runner.prepare([EmbedJob(model="m", inputs=texts)])
    assert not isinstance(items, JobError)
    return np.stack([each for each in runner.run(items) if not isinstance(each, JobError)])


def tokens(runner: GenerateRunner) -> list[int]:
    return [new.token for step in written(runner) for new in step]


def steps(runner: GenerateRunner) -> int:
    return len(written(runner))


def written(runner: GenerateRunner) -> list[list[NewToken]]:
    """The beginning of a story, step by step."""
    job = GenerateJob(
        model="m",
        prompt=Chat((Message("user", (TextPart("Tell me a story."),)),)),
        max_tokens=20,
        sampling=Sampling(temperature=0),
    )
    [answers] = runner.prepare([job])
    assert not isinstance(answers, JobError | GenerateResult)
    decoder = decoder_of(runner)
    decoder.insert(answers[0])
    found: list[list[NewToken]] = []
    while len(decoder):
        found.append(decoder.step(1.0))
    return found


def generator(spec: str) -> GenerateRunner:
    runner = load_runner(spec, Settings())
    assert isinstance(runner, GenerateRunner)
    return runner


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """LoRA weights of tiny-chat that change its answers, as mlx_lm.lora writes them."""
    model, _ = load_model(TINY_CHAT, lazy=True)
    linear_to_lora_layers(model, 2, LORA)
    flat: dict[str, mx.array] = dict(tree_flatten(model.parameters()))  # pyright: ignore[reportArgumentType, reportAssignmentType]
    mx.random.seed(3)
    weights = {name: mx.random.normal(each.shape) for name, each in flat.items() if "lora_" in name}
    assert len(weights) == 8
    mx.save_safetensors(str(tmp_path / "adapters.safetensors"), weights)
    config = {"fine_tune_type": "lora", "num_layers": 2, "lora_parameters": LORA}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    return tmp_path


def merged(adapter: Path, folder: Path) -> Path:
    """tiny-chat with the adapter's weights added to its own: W + scale * (A B)^T."""
    folder.mkdir()
    for file in TINY_CHAT.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    weights: dict[str, mx.array] = mx.load(str(TINY_CHAT / "model.safetensors"))  # pyright: ignore[reportAssignmentType]
    added: dict[str, mx.array] = mx.load(str(adapter / "adapters.safetensors"))  # pyright: ignore[reportAssignmentType]
    for name in [name.removesuffix(".lora_a") for name in added if name.endswith(".lora_a")]:
        product = added[f"{name}.lora_a"] @ added[f"{name}.lora_b"]
        own = weights[f"{name}.weight"]
        weights[f"{name}.weight"] = (own + LORA["scale"] * product.T).astype(own.dtype)
    mx.save_safetensors(str(folder / "model.safetensors"), weights)
    return folder


def test_an_embedder_is_opened_without_its_weights_and_comes_and_goes(tmp_path: Path):
    folder = make("bert", tmp_path / "bert")
    before = mx.get_active_memory()
    runner = open_runner(str(folder), Settings())
    assert isinstance(runner, EmbedRunner)
    assert runner.info.dimensions == 32
    assert mx.get_active_memory() - before < runner.weight_bytes / 4
    first = vectors(loaded(runner), "the old fox", "snow")
    in_use = mx.get_active_memory() - before
    assert in_use >= runner.weight_bytes
    runner.unload()
    assert mx.get_active_memory() - before < runner.weight_bytes / 4
    assert np.array_equal(vectors(loaded(runner), "the old fox", "snow"), first)


def test_a_generator_comes_and_goes_with_all_it_has_computed():
    before = mx.get_active_memory()
    runner = open_runner(str(TINY_CHAT), Settings())
    assert isinstance(runner, GenerateRunner)
    assert mx.get_active_memory() - before < runner.weight_bytes / 4
    first = tokens(loaded(runner))
    assert mx.get_active_memory() - before >= runner.weight_bytes
    runner.unload()
    assert runner.decoder is None
    assert mx.get_active_memory() - before < runner.weight_bytes / 4
    assert tokens(loaded(runner)) == first


def test_loading_stops_between_arrays():
    runner = open_runner(str(TINY_CHAT), Settings())
    assert sum(1 for _ in runner.load()) > 30


def test_an_adapter_changes_what_its_model_says(adapter: Path, tmp_path: Path):
    plain, adapted = generator(str(TINY_CHAT)), generator(f"other={TINY_CHAT},adapter={adapter}")
    assert adapted.info.id == "other"
    assert adapted.weight_bytes > plain.weight_bytes
    said = tokens(adapted)
    assert said != tokens(plain)
    assert said == tokens(generator(str(merged(adapter, tmp_path / "merged"))))


def test_an_adapter_of_another_model_is_refused(adapter: Path):
    wrong = {"model.layers.3.self_attn.q_proj.lora_a": mx.zeros((7, 4))}
    mx.save_safetensors(str(adapter / "adapters.safetensors"), wrong)
    with pytest.raises(InvalidInput, match="incompatible"):
        generator(f"{TINY_CHAT},adapter={adapter}")


def test_a_draft_guesses_and_changes_nothing():
    plain, drafted = generator(str(TINY_CHAT)), generator(f"{TINY_CHAT},draft={TINY_CHAT}")
    assert drafted.weight_bytes == 2 * plain.weight_bytes
    assert tokens(drafted) == tokens(plain)
    assert steps(drafted) < steps(plain) / 2


def test_a_draft_with_another_tokenizer_is_refused(tmp_path: Path):
    other = shutil.copytree(TINY_CHAT, tmp_path / "other")
    tokenizer = json.loads((other / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["e"], vocabulary["a"] = vocabulary["a"], vocabulary["e"]
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(InvalidInput, match="The draft other must have the same tokenizer"):
        generator(f"{TINY_CHAT},draft={other}")


def test_an_embedder_has_no_adapter(adapter: Path):
    with pytest.raises(InvalidInput, match="embedding model"):
        load_runner(f"all-MiniLM-L6-v2,adapter={adapter}", Settings())


def test_models_that_do_not_fit_together_wait_outside(tmp_path: Path):
    bert = make("bert", tmp_path / "bert")
    size_bytes = open_runner(str(TINY_CHAT), Settings()).weight_bytes
    settings = Settings(models=(str(TINY_CHAT), str(bert)), model_bytes=size_bytes)
    model_cache = load_models(*open_models(settings), settings)
    assert [each.id for each in model_cache.report()] == ["model"]
    assert list(model_cache.runners) == ["model", "bert"]
    assert not model_cache.is_settled


def test_a_model_that_can_never_fit_is_refused_at_the_start():
    with pytest.raises(InvalidInput, match=r"model needs [\d,]+ bytes of memory, and models may take 1,000"):
        open_models(Settings(models=(str(TINY_CHAT),), model_bytes=1000))


def test_two_models_of_one_name_are_refused(adapter: Path):
    with pytest.raises(InvalidInput, match="Two models are called model"):
        open_models(Settings(models=(str(TINY_CHAT), f"{TINY_CHAT},adapter={adapter}")))


def test_weights_that_are_no_numbers_write_no_answer(tmp_path: Path):
    broken = shutil.copytree(TINY_CHAT, tmp_path / "broken")
    weights: dict[str, mx.array] = mx.load(str(TINY_CHAT / "model.safetensors"))  # pyright: ignore[reportAssignmentType]
    weights["model.norm.weight"] *= mx.nan
    mx.save_safetensors(str(broken / "model.safetensors"), weights)
    with pytest.raises(FloatingPointError, match="not numbers"):
        tokens(generator(str(broken)))
