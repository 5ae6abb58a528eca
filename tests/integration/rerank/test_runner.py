"""The reranking runner's contract, on small random models and real MLX."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jobs.content import ImagePart, TextPart
from jobs.errors import InputTooLong, InternalError, InvalidInput, JobError
from jobs.rerank import Passage, RerankJob, RerankResult
from tests.checkpoints.make import write_json
from tests.checkpoints.rerankers import make
from tests.checkpoints.weights import changed_weights, packable, quantise
from workers.models.open import open_reranker
from workers.models.resolve import LocalModel
from workers.runners.contract import loaded, succeeded
from workers.runners.rerank.item import RerankItem
from workers.runners.rerank.runner import RerankRunner
from workers.runners.rerank.shared_prefix import STEP, common_shared_prefix, shared_prefixes

IMAGE = ImagePart(b"any")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def bert(folders: Path) -> RerankRunner:
    return loaded(open_reranker(LocalModel("bert", make("bert", folders / "bert"))))


@pytest.fixture(scope="module")
def xlm_roberta(folders: Path) -> RerankRunner:
    return loaded(open_reranker(LocalModel("xlm-roberta", make("xlm-roberta", folders / "xlm-roberta"))))


@pytest.fixture(scope="module")
def qwen3(folders: Path) -> RerankRunner:
    return loaded(open_reranker(LocalModel("qwen3", make("qwen3-reranker", folders / "qwen3-reranker"))))


def job(query: Passage, *documents: Passage, **options: Any) -> RerankJob:
    return RerankJob(model="any", query=query, documents=documents, **options)


def rerank(runner: RerankRunner, query: Passage, *documents: Passage, **options: Any) -> RerankResult:
    asked = job(query, *documents, **options)
    [items] = runner.prepare([asked])
    if isinstance(items, JobError):
        raise items
    return runner.assemble(asked, items, runner.run(items))


def scores(result: RerankResult) -> np.ndarray:
    return np.frombuffer(result.scores, "<f4")


def refusal(runner: RerankRunner, query: Passage, *documents: Passage, **options: Any) -> JobError:
    [outcome] = runner.prepare([job(query, *documents, **options)])
    assert isinstance(outcome, JobError)
    return outcome


@pytest.mark.parametrize("name", ["bert", "xlm_roberta", "qwen3"])
def test_equal_documents_have_equal_scores(name: str, request: pytest.FixtureRequest):
    """To the last digit, so that ties keep the documents' order."""
    runner: RerankRunner = request.getfixturevalue(name)
    documents = ["a whale", "the red fox", "a whale", "a red animal that is small", "the red fox", "a whale"]
    asked = job("red fox", *documents)
    [items] = runner.prepare([asked])
    assert not isinstance(items, JobError)
    computed = np.asarray(succeeded(runner.run(items))) + np.arange(len(documents)) * 1e-6  # of another batch

    result = runner.assemble(asked, items, computed.tolist())

    found = scores(result).tolist()
    assert [found.index(score) for score in found] == [0, 1, 0, 3, 1, 0]
    assert result.tokens == tuple(item.length for item in items)


def test_model_describes_itself(xlm_roberta: RerankRunner):
    info = xlm_roberta.info
    assert (info.id, info.task, info.dimensions, info.max_tokens) == ("xlm-roberta", "rerank", 0, 128)
    assert xlm_roberta.weight_bytes > 0


def test_raw_scores_are_the_logits_of_probabilities(xlm_roberta: RerankRunner, qwen3: RerankRunner):
    for runner in (xlm_roberta, qwen3):
        likely = scores(rerank(runner, "red fox", "a fox", "a dog", "snow"))
        raw = scores(rerank(runner, "red fox", "a fox", "a dog", "snow", raw_scores=True))
        assert np.allclose(likely, 1 / (1 + np.exp(-raw)), atol=1e-6)
        assert not np.allclose(likely, raw, atol=1e-2)


def test_model_whose_scores_are_its_logits_gives_them_either_way(bert: RerankRunner):
    told, raw = (rerank(bert, "red fox", "a fox", raw_scores=raw) for raw in (False, True))
    assert told == raw


def test_text_parts_are_read_as_one_text(bert: RerankRunner):
    parts = (TextPart("a quick "), TextPart("fox"))
    result = rerank(bert, (TextPart("red fox"),), parts, "a quick fox")
    assert np.allclose(scores(result)[0], scores(result)[1], atol=1e-6)


def test_tokens_count_special_tokens_and_the_query(bert: RerankRunner):
    assert rerank(bert, "red fox", "dog", "", "a cat").tokens == (6, 5, 7)


def test_jobs_are_prepared_together_and_fail_alone(bert: RerankRunner, qwen3: RerankRunner):
    for runner in (bert, qwen3):
        long, image, fox, none = runner.prepare(
            [job("red fox", "dog", "fox " * 500), job("red fox", (IMAGE,)), job("old", "fox"), job("dog")]
        )
        assert isinstance(long, InputTooLong)
        assert isinstance(image, InvalidInput)
        assert isinstance(none, InvalidInput)
        [alone] = runner.prepare([job("old", "fox")])
        assert isinstance(fox, list) and isinstance(alone, list)
        assert fox[0].ids.tolist() == alone[0].ids.tolist()


@pytest.mark.parametrize(
    ("query", "documents", "param", "message"),
    [
        ("red fox", ("dog", "fox " * 200), "documents", "Document 1: 205 tokens with the query"),
        ("fox " * 200, ("dog",), "query", "leaves no room for document 0"),
        ("red fox", (), "documents", "no document"),
        ("red fox", ("dog", ("cat", IMAGE)), "documents", "Document 1 holds an image"),
        ((IMAGE,), ("dog",), "query", "The query holds an image"),
    ],
)
def test_bad_input_is_named(
    bert: RerankRunner, query: Passage, documents: tuple[Any, ...], param: str, message: str
):
    spelled = [
        tuple(TextPart(part) if isinstance(part, str) else part for part in document)
        if isinstance(document, tuple)
        else document
        for document in documents
    ]
    error = refusal(bert, query, *spelled)
    assert isinstance(error, InvalidInput)
    assert (error.param, message in error.message) == (param, True), error.message


def test_query_that_fills_the_limit_is_refused_even_where_documents_may_be_cut(
    bert: RerankRunner, qwen3: RerankRunner
):
    for runner in (bert, qwen3):
        error = refusal(runner, "fox " * 500, "dog", truncate=True)
        assert (type(error), error.param) == (InputTooLong, "query")


def test_instruction_is_refused_by_a_model_that_takes_none(bert: RerankRunner):
    error = refusal(bert, "red fox", "dog", instruction="Find songs")
    assert (type(error), error.param) == (InvalidInput, "instruction")


def test_truncation_reads_the_documents_start_and_nothing_else(bert: RerankRunner, qwen3: RerankRunner):
    for runner in (bert, qwen3):
        longest = (f"{'fox ' * n}lake" for n in range(runner.info.max_tokens, 0, -1))
        kept = next(text for text in longest if isinstance(runner.prepare([job("red fox", text)])[0], list))
        whole = rerank(runner, "red fox", kept, raw_scores=True)
        cut = rerank(runner, "red fox", f"{kept} {'dog ' * 500}", truncate=True, raw_scores=True)
        other = rerank(runner, "red fox", "dog " * 500, truncate=True, raw_scores=True)
        assert cut.tokens == whole.tokens == other.tokens == (runner.info.max_tokens,)
        assert np.allclose(scores(cut), scores(whole), atol=1e-5)
        assert not np.allclose(scores(cut), scores(other), atol=1e-3)


def test_suffix_stays_behind_a_cut_document(qwen3: RerankRunner):
    [cut, short] = [
        found[0].ids.tolist()
        for found in qwen3.prepare([job("red fox", "dog " * 500, truncate=True), job("red fox", "dog")])
        if isinstance(found, list)
    ]
    behind = len("assistant")  # of the suffix, at least
    assert cut[-behind:] == short[-behind:]
    assert len(cut) == qwen3.info.max_tokens


def test_shared_prefix_is_the_template_and_the_query(qwen3: RerankRunner):
    one, two = qwen3.prepare([job("red fox", "dog", "cat", ""), job("old", "dog")])
    assert isinstance(one, list) and isinstance(two, list)
    assert len({item.ids[: item.prefix_tokens].tobytes() for item in one}) == 1
    assert one[0].ids[: one[0].prefix_tokens].tolist() != two[0].ids[: two[0].prefix_tokens].tolist()
    assert all(item.length - item.prefix_tokens < 30 for item in (*one, *two))


def test_shared_prefixes_are_computed_once_where_that_saves_work(qwen3: RerankRunner, bert: RerankRunner):
    asked = [job("red fox", "dog", "cat"), job("old", "horse"), job("red fox", "snow")]
    items = [item for found in qwen3.prepare(asked) if isinstance(found, list) for item in found]
    shared = shared_prefixes(items)
    assert shared is not None
    assert (len(shared.ids), shared.of_pair) == (2, [0, 0, 1, 0])
    assert shared_prefixes(items[:1]) is None
    assert shared_prefixes([items[0], items[2]]) is None
    [pairs] = bert.prepare([job("red fox", "dog", "cat")])
    assert isinstance(pairs, list) and shared_prefixes(pairs) is None


def test_common_prefix_is_cut_to_whole_steps(qwen3: RerankRunner, bert: RerankRunner):
    one, two = qwen3.prepare([job("red fox " * 40, "dog", "cat"), job("old", "dog")])
    assert isinstance(one, list) and isinstance(two, list)
    alone, mixed = common_shared_prefix(one), common_shared_prefix([*one, *two])
    assert alone is not None and mixed is not None
    assert alone.lengths == [one[0].prefix_tokens // STEP * STEP] * 2
    assert 0 < mixed.lengths[0] < alone.lengths[0]
    assert mixed.lengths == [mixed.lengths[0]] * 3
    assert common_shared_prefix(one[:1]) is None
    [pairs] = bert.prepare([job("red fox", "dog", "cat")])
    assert isinstance(pairs, list) and common_shared_prefix(pairs) is None


def test_rounded_shapes_change_no_score(folders: Path, qwen3: RerankRunner, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("workers.runners.rerank.text_model.plans_per_shape", lambda: True)
    rounding = loaded(open_reranker(LocalModel("rounding", folders / "qwen3-reranker")))
    asked = [job("red fox " * 40, "dog", "cat and snow"), job("old", "horse")]
    items = [item for found in qwen3.prepare(asked) if isinstance(found, list) for item in found]
    for batch in (items, items[:2]):
        assert succeeded(rounding.run(batch)) == pytest.approx(succeeded(qwen3.run(batch)), abs=1e-4)


def test_unsound_score_fails_its_item_alone(folders: Path):
    folder = make("bert", folders / "unsound")
    with changed_weights(folder) as weights:
        fox = 90
        weights["bert.embeddings.word_embeddings.weight"][fox] = np.nan
    runner = loaded(open_reranker(LocalModel("unsound", folder)))
    pairs = [np.asarray(ids, np.int32) for ids in ([2, 3, 70, 3], [2, 3, fox], [2, 3, 3])]
    sound, broken, other = runner.run([RerankItem(ids, np.zeros_like(ids)) for ids in pairs])
    assert isinstance(broken, InternalError)
    assert isinstance(sound, float) and isinstance(other, float)
    with pytest.raises(InternalError):
        runner.assemble(job("x", "y"), [], [sound, broken])


def test_weights_without_a_sound_score_are_refused_at_load(folders: Path):
    folder = make("bert", folders / "broken")
    with changed_weights(folder) as weights:
        weights["classifier.weight"][:] = np.nan
    with pytest.raises(InvalidInput, match="not finite"):
        loaded(open_reranker(LocalModel("broken", folder)))


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("bert", "classifier.bias"),
        ("modernbert", "head.norm.weight"),
        ("qwen3-reranker", "model.norm.weight"),
    ],
)
def test_missing_weight_is_refused_before_load(folders: Path, name: str, weight: str):
    folder = make(name, folders / f"{name}-missing")
    with changed_weights(folder) as weights:
        del weights[weight]
    with pytest.raises(InvalidInput, match=weight):
        open_reranker(LocalModel("missing", folder))


def test_it_scores_again_after_its_weights_have_left(folders: Path):
    runner = loaded(open_reranker(LocalModel("again", make("qwen3-reranker", folders / "again-reranker"))))
    before = scores(rerank(runner, "red fox", "dog", "fox"))
    runner.unload()
    assert np.array_equal(scores(rerank(loaded(runner), "red fox", "dog", "fox")), before)


def converted(folder: Path, weights: dict[str, np.ndarray], **changes: Any) -> RerankRunner:
    """The checkpoint in `folder` with other weights and other words in its config.json."""
    config = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", {**config, **changes})
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return loaded(open_reranker(LocalModel("converted", folder)))


def test_head_of_its_own_and_classifier_score_as_the_shared_head_does(folders: Path, qwen3: RerankRunner):
    """As Qwen3-Reranker-8B, and as conversions to a classifier, whose one row is that of yes less that of no."""
    documents = ("dog", "the red fox sleeps", "")
    expected = scores(rerank(qwen3, "red fox", *documents))

    folder = make("qwen3-reranker", folders / "untied-reranker")
    weights = load_file(folder / "model.safetensors")
    table = weights["model.embed_tokens.weight"]
    untied = converted(folder, {**weights, "lm_head.weight": table}, tie_word_embeddings=False)
    assert np.allclose(scores(rerank(untied, "red fox", *documents)), expected, atol=1e-6)

    folder = make("qwen3-reranker", folders / "qwen3-reranker-seq-cls")
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    no, yes = vocabulary["no"], vocabulary["yes"]
    classifier = converted(
        folder,
        {**weights, "score.weight": table[[yes]] - table[[no]]},
        architectures=["Qwen3ForSequenceClassification"],
        num_labels=1,
    )
    assert np.allclose(scores(rerank(classifier, "red fox", *documents)), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["bert", "modernbert", "qwen3-reranker"])
def test_quantised_conversion_is_read(folders: Path, name: str):
    whole = loaded(open_reranker(LocalModel(name, make(name, folders / f"{name}-whole"))))
    folder = make(name, folders / f"{name}-8bit")
    quantise(folder, packable)

    documents = ("the old fox sleeps near the river", "snow and wind over the small lake")
    quantised = loaded(open_reranker(LocalModel(name, folder)))
    assert quantised.weight_bytes < whole.weight_bytes
    exact, near = (scores(rerank(each, "red fox", *documents)) for each in (whole, quantised))
    assert np.allclose(exact, near, atol=0.05)
