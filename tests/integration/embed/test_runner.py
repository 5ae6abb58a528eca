"""The embedding runner's contract, on small random models and real MLX."""

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from jobs.embed import EmbedJob, EmbedResult, Truncate
from jobs.errors import InputTooLong, InternalError, InvalidInput, JobError
from tests.checkpoints.make import make, write_json
from tests.checkpoints.weights import changed_weights, packable, quantise
from workers.runners.contract import loaded
from workers.runners.embed.runner import EmbedItem, EmbedRunner
from workers.runners.tokens import tokenizer
from workers.runners.tokens.tokenizer import Ids


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def bert(folders: Path) -> EmbedRunner:
    return loaded(EmbedRunner("bert", make("bert", folders / "bert")))


@pytest.fixture(scope="module")
def modernbert(folders: Path) -> EmbedRunner:
    return loaded(EmbedRunner("modernbert", make("modernbert", folders / "modernbert")))


@pytest.fixture(scope="module")
def qwen3(folders: Path) -> EmbedRunner:
    """With the cuts of a model whose vectors have 32 values."""
    folder = make("qwen3", folders / "qwen3")
    config = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", {**config, "matryoshka_dimensions": [8, 16, 32]})
    return loaded(EmbedRunner("qwen3", folder))


def embed(runner: EmbedRunner, *inputs: Any, **options: Any) -> EmbedResult:
    job = EmbedJob(model=runner.info.id, inputs=inputs, **options)
    [items] = runner.prepare([job])
    if isinstance(items, JobError):
        raise items
    return runner.assemble(job, items, runner.run(items))


def vectors(result: EmbedResult) -> np.ndarray:
    return np.frombuffer(result.vectors, "<f4").reshape(-1, result.dimensions)


def refusal(runner: EmbedRunner, *inputs: Any, **options: Any) -> JobError:
    [outcome] = runner.prepare([EmbedJob(model=runner.info.id, inputs=inputs, **options)])
    assert isinstance(outcome, JobError)
    return outcome


def test_model_describes_itself(modernbert: EmbedRunner):
    info = modernbert.info
    assert (info.id, info.task, info.dimensions, info.max_tokens) == ("modernbert", "embed", 32, 512)
    assert (info.min_dimensions, info.prompts) == (None, ("query", "document"))


def test_every_input_form_gives_the_same_vector(bert: EmbedRunner):
    [items] = bert.prepare([EmbedJob(model="bert", inputs=("a red fox",))])
    assert isinstance(items, list)
    ids = tuple(items[0].ids.tolist())
    rows = vectors(embed(bert, "a red fox", ids, ids[1:-1]))
    assert np.allclose(rows[0], rows[1], atol=1e-6)
    assert np.allclose(rows[0], rows[2], atol=1e-6)


def test_tokens_count_special_tokens_and_the_prompt(bert: EmbedRunner):
    assert embed(bert, "red fox", "", (7, 8, 9)).tokens == (4, 2, 5)
    assert embed(bert, "red fox", "", (7, 8, 9), instruction="query: ").tokens == (6, 4, 7)


def test_jobs_are_prepared_together_and_fail_alone(bert: EmbedRunner):
    jobs = [
        EmbedJob(model="bert", inputs=("fox", "fox " * 200, "dog")),
        EmbedJob(model="bert", inputs=("a cat", (7, 8))),
        EmbedJob(model="bert", inputs=("fox",), dimensions=7),
        EmbedJob(model="bert", inputs=("an old horse",)),
    ]
    long, cat, cut, horse = bert.prepare(jobs)
    assert isinstance(long, InputTooLong)
    assert isinstance(cut, InvalidInput)
    assert isinstance(cat, list)
    assert isinstance(horse, list)
    assert [item.length for item in (*cat, *horse)] == [4, 4, 5]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (("fox", "fox " * 200), r"Input 1: 202 tokens. This model's maximum context length is 96 tokens"),
        (("fox", ()), r"Input 1: the list of token ids is empty"),
        (((1, 999_999),), r"Input 0: a token id is outside the model's vocabulary"),
        ((), r"no input"),
    ],
)
def test_bad_input_is_named(bert: EmbedRunner, inputs: Any, message: str):
    error = refusal(bert, *inputs)
    assert error.param == "input"
    with pytest.raises(InvalidInput, match=message):
        raise error


@pytest.mark.parametrize("truncate", ["end", "start"])
def test_truncation_reads_what_it_keeps_and_nothing_else(bert: EmbedRunner, truncate: Truncate):
    first, last, filling = "red fox runs ", "the cold lake", "fox " * 91
    cut = embed(bert, first + filling + last, truncate=truncate)
    kept = first + filling if truncate == "end" else filling + last
    assert cut.tokens == (96,)
    assert np.allclose(vectors(cut), vectors(embed(bert, kept)), atol=1e-6)


@pytest.mark.parametrize("truncate", ["end", "start"])
def test_a_text_has_no_more_tokens_than_the_job_says(bert: EmbedRunner, truncate: Truncate):
    cut = embed(bert, "fox runs cold lake", "fox", truncate=truncate, max_tokens=4)
    kept = "fox runs" if truncate == "end" else "cold lake"
    assert cut.tokens == (4, 3)
    assert np.allclose(vectors(cut), vectors(embed(bert, kept, "fox")), atol=1e-6)
    refused = refusal(bert, "fox runs cold lake", max_tokens=4)
    assert "6 tokens. max_tokens is 4." in refused.message


def test_default_prompt_is_used_where_the_job_names_none(modernbert: EmbedRunner):
    rows = [vectors(embed(modernbert, "fox", prompt_name=name)) for name in (None, "document", "query")]
    assert np.allclose(rows[0], rows[1], atol=1e-6)
    assert not np.allclose(rows[0], rows[2], atol=1e-3)


def test_instruction_is_put_before_the_text_as_the_model_card_says(qwen3: EmbedRunner):
    told = embed(qwen3, "old fox", instruction="Find songs")
    assert np.allclose(vectors(told), vectors(embed(qwen3, "Instruct: Find songs\nQuery:old fox")), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "param", "message"),
    [
        ({"prompt_name": "nope"}, "prompt_name", "no prompt 'nope'. Its prompts: query, document"),
        ({"prompt_name": "query", "instruction": "x"}, "instruction", "not both"),
        ({"instruction": "x"}, "instruction", "Set `prompt_name` to one of: query, document"),
        ({"dimensions": 16}, "dimensions", "cannot be cut"),
    ],
)
def test_options_the_model_has_not_are_refused(
    modernbert: EmbedRunner, options: Any, param: str, message: str
):
    error = refusal(modernbert, "fox", **options)
    assert (error.param, message in error.message) == (param, True)


def test_cut_vector_is_the_whole_ones_start_renormalised(qwen3: EmbedRunner):
    whole, cut = vectors(embed(qwen3, "a fox"))[0], vectors(embed(qwen3, "a fox", dimensions=8))[0]
    assert np.allclose(cut, whole[:8] / np.linalg.norm(whole[:8]), atol=1e-6)
    assert embed(qwen3, "a fox", dimensions=32).dimensions == len(whole)


@pytest.mark.parametrize("dimensions", [-1, 0, 4, 12, 33])
def test_cut_that_the_model_does_not_list_is_refused(qwen3: EmbedRunner, dimensions: int):
    assert "8, 16, 32" in refusal(qwen3, "fox", dimensions=dimensions).message


def test_empty_text_is_embedded_as_its_special_tokens(bert: EmbedRunner, qwen3: EmbedRunner):
    assert embed(bert, "").tokens == (2,)
    assert embed(qwen3, "").tokens == (1,)


def test_it_runs_in_another_thread_than_it_was_loaded_in(bert: EmbedRunner):
    results: list[EmbedResult] = []
    thread = threading.Thread(target=lambda: results.append(embed(bert, "a fox", "a long winter night")))
    thread.start()
    thread.join()
    assert np.allclose(vectors(results[0]), vectors(embed(bert, "a fox", "a long winter night")), atol=1e-6)


def test_unsound_vector_fails_its_item_alone(folders: Path):
    folder = make("bert", folders / "unsound")
    with changed_weights(folder) as weights:
        fox = 90
        weights["embeddings.word_embeddings.weight"][fox] = np.nan
    runner = loaded(EmbedRunner("unsound", folder))
    sound, broken, other = runner.run(
        [EmbedItem(np.asarray(ids, np.int32)) for ids in ([2, 70, 3], [2, fox], [2, 3])]
    )
    assert isinstance(broken, InternalError)
    assert isinstance(sound, np.ndarray)
    assert isinstance(other, np.ndarray)
    with pytest.raises(InternalError):
        runner.assemble(EmbedJob(model="unsound", inputs=("x",)), [], [broken])


def test_weights_without_a_sound_vector_are_refused_at_load(folders: Path):
    folder = make("bert", folders / "broken")
    with changed_weights(folder) as weights:
        weights["embeddings.LayerNorm.weight"][:] = np.nan
    with pytest.raises(InvalidInput, match="not finite"):
        loaded(EmbedRunner("broken", folder))


def test_missing_weight_is_refused_at_load(folders: Path):
    folder = make("bert", folders / "missing")
    with changed_weights(folder) as weights:
        del weights["encoder.layer.1.output.dense.bias"]
    with pytest.raises(InvalidInput, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        loaded(EmbedRunner("missing", folder))


@pytest.mark.parametrize("name", ["modernbert", "qwen3", "gemma3"])
def test_quantised_conversion_in_one_file_is_read(folders: Path, name: str):
    """As MLX conversions are published: dense layers in the same file, no sentence-transformers folders."""
    whole = loaded(EmbedRunner(name, make(name, folders / f"{name}-whole")))
    folder = make(name, folders / f"{name}-4bit-embedding")
    with changed_weights(folder) as weights:
        for i in range(2) if name == "gemma3" else ():
            dense = load_file(folder / f"{i + 2}_Dense" / "model.safetensors")
            weights[f"dense.{i}.weight"] = dense["linear.weight"]
    quantise(folder, packable)
    (folder / "modules.json").unlink()

    quantised = loaded(EmbedRunner(name, folder))
    texts = ("the old fox sleeps near the river", "snow and wind over the small lake")
    cosines = (vectors(embed(whole, *texts)) * vectors(embed(quantised, *texts))).sum(axis=1)
    assert cosines.min() > 0.99


def test_texts_behind_one_that_is_too_long_are_not_tokenised(
    bert: EmbedRunner, monkeypatch: pytest.MonkeyPatch
):
    read: list[str] = []
    encode = bert._tokenizer._encode_slice

    def counting(texts: Sequence[str]) -> Iterator[Ids]:
        read.extend(texts)
        return encode(texts)

    monkeypatch.setattr(bert._tokenizer, "_encode_slice", counting)
    monkeypatch.setattr(tokenizer, "SLICE_CHARS", 1000)
    long = ["word " * 100] * 50
    good, bad = EmbedJob(model="bert", inputs=("good",)), EmbedJob(model="bert", inputs=tuple(long))
    assert isinstance(bert.prepare([bad])[0], InputTooLong)
    assert len(read) <= 4
    [first, second, third] = bert.prepare([bad, good, bad])
    assert isinstance(first, InputTooLong) and isinstance(third, InputTooLong)
    assert not isinstance(second, JobError) and len(second) == 1
