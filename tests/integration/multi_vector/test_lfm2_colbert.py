"""LFM2-ColBERT's and LFM2.5-ColBERT's vectors against PyLate's (tests/checkpoints/reference_lfm2_colbert.py)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import InputTooLong, InvalidInput
from jobs.rerank import RerankJob, RerankResult
from jobs.settings import Settings
from tests.checkpoints.colqwen import png
from tests.checkpoints.lfm2_colbert import (
    DIMENSIONS,
    DOCUMENTS,
    LAYOUTS,
    NAMES,
    POSITIONS,
    QUERIES,
    QUERY_LENGTH,
    make,
)
from tests.checkpoints.weights import changed_weights, quantise
from tests.support import parity
from tests.support.folders import GOLDEN as FOLDER
from tests.support.parity import least_cosine, outcomes
from workers.models.open import open_runner
from workers.runners.contract import loaded
from workers.runners.multi_vector.runner import MultiVectorRunner
from workers.runners.multi_vector.text_prompts import TextItem

MIN_COSINE = 0.9999
MAX_SCORE_ERROR = 1e-4

JOBS = (EmbedJob("m", QUERIES), EmbedJob("m", DOCUMENTS, input_type="document"))


class Golden:
    """What a model's vectors, ids and scores should be, text by text: the queries, then the documents."""

    def __init__(self, name: str) -> None:
        stored = np.load(FOLDER / f"{name}-colbert.npz")
        self.counts: list[int] = stored["counts"].tolist()
        self.tokens: list[int] = stored["tokens"].tolist()
        self.vectors = np.split(stored["vectors"], np.cumsum(self.counts)[:-1])
        self.ids = np.split(stored["ids"], np.cumsum(self.tokens)[:-1])
        self.scores: np.ndarray = stored["scores"]


GOLDEN = {name: Golden(name) for name in NAMES}
CASES = [(name, layout) for name in NAMES for layout in LAYOUTS]

Case = tuple[Golden, MultiVectorRunner]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    name, layout = request.param
    return GOLDEN[name], opened(make(tmp_path_factory.mktemp("colbert") / "m", name, layout))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> MultiVectorRunner:
    return opened(make(tmp_path_factory.mktemp("colbert") / "m"))


def opened(folder: Path) -> MultiVectorRunner:
    return parity.opened(folder, MultiVectorRunner)


def prepared(runner: MultiVectorRunner, jobs: Sequence[EmbedJob] = JOBS) -> list[TextItem]:
    return parity.prepared(runner, jobs, TextItem)


def rewritten(folder: Path, file: str, **changes: Any) -> Path:
    """The folder, with some of a file's values set anew; None takes one out."""
    path = folder / file
    both = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in both.items() if value is not None}))
    return folder


def test_tokens_are_those_of_the_reference(case: Case):
    golden, runner = case
    for item, expected in zip(prepared(runner), golden.ids, strict=True):
        assert item.ids.tolist() == expected.tolist()


def test_vectors_equal_the_reference_alone_and_in_one_mixed_batch(case: Case):
    golden, runner = case
    items = prepared(runner)
    mixed = outcomes(runner, items)
    for item, together, expected in zip(items, mixed, golden.vectors, strict=True):
        [alone] = outcomes(runner, [item])
        assert least_cosine(alone, expected) >= MIN_COSINE
        assert least_cosine(together, expected) >= MIN_COSINE
        assert least_cosine(together, alone) >= 0.999999


def test_order_and_neighbours_do_not_change_a_vector(case: Case):
    golden, runner = case
    items = prepared(runner)
    random = np.random.default_rng(3)
    for size in (2, 3, 5, 9):
        chosen = random.permutation(len(items))[:size]
        found = outcomes(runner, [items[number] for number in chosen])
        for number, each in zip(chosen, found, strict=True):
            assert least_cosine(each, golden.vectors[number]) >= MIN_COSINE


def test_scores_equal_the_reference(case: Case):
    golden, runner = case
    for query, expected in zip(QUERIES, golden.scores, strict=True):
        job = RerankJob("m", query, DOCUMENTS)
        [items] = runner.prepare([job])
        assert isinstance(items, list)
        result = runner.assemble(job, items, runner.run(items))
        assert isinstance(result, RerankResult)
        scores = np.frombuffer(result.scores, dtype="<f4")
        np.testing.assert_allclose(scores, expected, atol=MAX_SCORE_ERROR, rtol=0)
        assert result.tokens == tuple(items[0].length + item.length for item in items[1:])


def test_reference_tells_the_models_apart():
    """Else the cosines above would prove little."""
    there = len(QUERIES) + 3  # a long document
    assert least_cosine(GOLDEN["lfm2"].vectors[there], GOLDEN["lfm2.5"].vectors[there]) < 0.5
    looked_at, not_looked_at = GOLDEN["lfm2.5-attending"].vectors[0], GOLDEN["lfm2.5"].vectors[0]
    assert least_cosine(looked_at, not_looked_at) < 0.9


def test_reading_the_wrong_way_shows(tmp_path: Path):
    folder = rewritten(make(tmp_path / "m", "lfm2"), "config.json", architectures=["Lfm2BidirectionalModel"])
    runner = opened(folder)
    found = outcomes(runner, prepared(runner))
    assert least_cosine(found[-2], GOLDEN["lfm2"].vectors[-2]) < 0.9


def test_result_counts_the_vectors_that_are_kept(one: MultiVectorRunner):
    for job, span in zip(JOBS, (slice(len(QUERIES)), slice(len(QUERIES), None)), strict=True):
        [items] = one.prepare([job])
        assert isinstance(items, list)
        result = one.assemble(job, items, one.run(items))
        assert isinstance(result, EmbedResult)
        assert result.dimensions == one.info.dimensions == DIMENSIONS
        assert list(result.counts) == GOLDEN["lfm2"].counts[span]
        assert list(result.tokens) == GOLDEN["lfm2"].tokens[span]
        assert result.grids == ()
        found = np.frombuffer(result.vectors, dtype="<f4").reshape(-1, DIMENSIONS)
        assert len(found) == sum(result.counts)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_punctuation_of_a_document_gets_no_vector_and_that_of_a_query_does(one: MultiVectorRunner):
    [query] = prepared(one, [EmbedJob("m", ("red, fox!",))])
    [document] = prepared(one, [EmbedJob("m", ("red, fox!",), input_type="document")])
    assert len(outcomes(one, [query])[0]) == query.length == QUERY_LENGTH
    assert len(outcomes(one, [document])[0]) == document.length - 2


def test_texts_are_queries_and_mixed_inputs_documents_unless_said_otherwise(one: MultiVectorRunner):
    def read(value: Any, input_type: Any = None) -> list[int]:
        return prepared(one, [EmbedJob("m", (value,), input_type=input_type)])[0].ids.tolist()

    assert read("red fox") == read("red fox", "query") != read("red fox", "document")
    assert read(MixedInput((TextPart("red fox"),))) == read("red fox", "document")


def test_token_ids_read_as_their_text_does(one: MultiVectorRunner):
    [text] = prepared(one, [EmbedJob("m", ("red fox",), input_type="document")])
    bare = tuple(
        text.ids[[0, *range(2, text.length)]].tolist()
    )  # without the mark, which is not the tokenizer's
    for ids in (bare, bare[1:]):
        [item] = prepared(one, [EmbedJob("m", (ids,), input_type="document")])
        assert item.ids.tolist() == text.ids.tolist()


def test_lengths_at_which_pylate_cuts_are_no_limit_but_the_positions_are(one: MultiVectorRunner):
    assert one.info.max_tokens == POSITIONS
    fits, too_long = "fox " * (POSITIONS // 2 - 2), "fox " * POSITIONS
    [item] = prepared(one, [EmbedJob("m", (fits,), input_type="document")])
    assert QUERY_LENGTH < item.length <= POSITIONS
    [refused] = one.prepare([EmbedJob("m", ("a", too_long))])
    assert isinstance(refused, InputTooLong)
    assert refused.message.startswith("Input 1: ")
    for truncate in ("end", "start"):
        cut = prepared(one, [EmbedJob("m", (too_long,), truncate=truncate, input_type="document")])[0]
        assert cut.length == POSITIONS
        assert cut.ids[:2].tolist() == item.ids[:2].tolist()


def test_images_are_refused(one: MultiVectorRunner):
    image = ImagePart(png(3))
    embed, rerank = one.prepare(
        [
            EmbedJob("m", ("a", MixedInput((image,)))),
            RerankJob("m", "fox", ("dog", (TextPart("cat"), image))),
        ]
    )
    assert isinstance(embed, InvalidInput)
    assert (embed.message, embed.param) == ("Input 1: this model reads texts, and no images.", "input")
    assert isinstance(rerank, InvalidInput)
    assert rerank.message == "Document 1: this model reads texts, and no images."


def test_model_says_what_it_is(one: MultiVectorRunner):
    info = one.info
    assert (info.task, info.dimensions, info.abilities) == ("embed", DIMENSIONS, ("multi_vector",))
    assert info.tasks == ("embed", "rerank")


def test_weights_leave_and_come_back(tmp_path: Path):
    runner = opened(make(tmp_path / "m"))
    [item, *_] = prepared(runner)
    runner.unload()
    loaded(runner)
    assert least_cosine(outcomes(runner, [item])[0], GOLDEN["lfm2"].vectors[0]) >= MIN_COSINE
    assert runner.weight_bytes > 0


def test_kernel_of_even_size_is_centred_as_the_reference_does(tmp_path: Path):
    """Two of four taps lie before the token, one behind it (torch: padding of size // 2, cut at the end)."""
    folder = make(tmp_path / "m", "lfm2.5")
    with changed_weights(folder) as weights:
        for name, kernel in weights.items():
            if kernel.ndim == 3:  # the same kernel as before, with a tap of no weight
                weights[name] = np.concatenate([np.zeros_like(kernel[..., :1]), kernel], axis=-1)
    runner = opened(rewritten(folder, "config.json", conv_L_cache=4))
    for found, expected in zip(outcomes(runner, prepared(runner)), GOLDEN["lfm2.5"].vectors, strict=True):
        assert least_cosine(found, expected) >= MIN_COSINE


def test_quantised_weights_give_nearly_the_same_vectors(tmp_path: Path):
    folder = make(tmp_path / "m", "lfm2.5", "mlx")
    quantise(folder, lambda _, value: 8 if value.ndim == 2 else None)
    runner = opened(folder)
    for found, expected in zip(outcomes(runner, prepared(runner)), GOLDEN["lfm2.5"].vectors, strict=True):
        assert least_cosine(found, expected) >= 0.98


@pytest.mark.parametrize(
    ("file", "changes", "words"),
    [
        ("config.json", {"architectures": ["Lfm2ForCausalLM"]}, "names Lfm2ForCausalLM"),
        ("config.json", {"rope_parameters": {"rope_type": "yarn"}}, "rope_scaling"),
        ("config.json", {"num_attention_heads": None}, r"config\.json is incomplete"),
        ("config.json", {"layer_types": ["conv"] * 5}, "no layer of attention"),
        ("config.json", {"block_ff_dim": 120}, "do not fit"),
        ("config_sentence_transformers.json", {"query_prefix": "[X] "}, r"knows no '\[X\] '"),
        ("tokenizer_config.json", {"padding_side": "left"}, "on the left"),
        ("tokenizer_config.json", {"eos_token": None, "pad_token": None}, "with nothing"),
        ("1_Dense/config.json", {"use_residual": True}, "Dense"),
    ],
)
def test_what_would_be_computed_wrongly_is_refused(
    tmp_path: Path, file: str, changes: dict[str, Any], words: str
):
    folder = rewritten(make(tmp_path / "m"), file, **changes)
    with pytest.raises(InvalidInput, match=words):
        open_runner(str(folder), Settings())


def test_modules_that_cannot_be_run_are_refused(tmp_path: Path):
    folder = make(tmp_path / "m")
    path = folder / "modules.json"
    modules = [*json.loads(path.read_text()), {"type": "sentence_transformers.models.Pooling", "path": "2"}]
    path.write_text(json.dumps(modules))
    with pytest.raises(InvalidInput, match="Transformer Dense Pooling"):
        open_runner(str(folder), Settings())


def test_missing_weights_are_named(tmp_path: Path):
    folder = make(tmp_path / "m")
    with changed_weights(folder) as weights:
        del weights["layers.1.self_attn.q_layernorm.weight"]
    with pytest.raises(InvalidInput, match=r"layers\.1\.self_attn\.q_layernorm\.weight"):
        open_runner(str(folder), Settings())


def test_missing_norm_is_named(tmp_path: Path):
    """The projection of a conversion is as wide as it."""
    folder = make(tmp_path / "m", "lfm2", "mlx")
    with changed_weights(folder) as weights:
        del weights["embedding_norm.weight"]
    with pytest.raises(InvalidInput, match="embedding_norm") as caught:
        open_runner(str(folder), Settings())
    assert caught.value.param == "model"
