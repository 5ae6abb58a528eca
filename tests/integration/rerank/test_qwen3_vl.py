"""Qwen3-VL-Reranker: its scores against its published code's (tests/checkpoints/reference_mixed_rerank.py made them),
and how it reads what it is asked.
"""

import asyncio
import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from jobs.content import ImagePart, TextPart
from jobs.errors import InputTooLong, InvalidInput, JobError
from jobs.rerank import Passage, RerankJob, RerankResult
from jobs.settings import Settings
from jobs.store.redis_server import RedisServer
from tests.checkpoints import qwen3_vl
from tests.checkpoints.make import write_json
from tests.checkpoints.mixed_pairs import INSTRUCTION, NAME, OVERLONG, PAIRS, make, passage
from tests.checkpoints.qwen3_vl import LAYOUTS, png
from tests.checkpoints.weights import changed_weights
from tests.support import parity
from tests.support.folders import GOLDEN
from tests.support.running_worker import INTERACTIVE, LIMITS, working_queue
from workers.models.open import open_runner
from workers.runners.contract import loaded
from workers.runners.rerank.mixed_prompts import MixedPair
from workers.runners.rerank.runner import RerankRunner
from workers.runners.vision.mixed_input import MixedItem
from workers.runners.vision.patches import Patches
from workers.runners.vision.qwen3_vl import Qwen3VL

REFERENCE = np.load(GOLDEN / "rerank-qwen3-vl.npz")
IDS = np.split(REFERENCE["ids"], np.cumsum(REFERENCE["tokens"])[:-1])
TOLERANCE = 1e-4

RED_FOX = [n for n, (query, _) in enumerate(PAIRS) if query == ("red fox",)]


def job(query: Passage, *documents: Passage, **options: Any) -> RerankJob:
    return RerankJob(model=NAME, query=query, documents=documents, **options)


JOBS = [job(passage(query), passage(document), truncate=True) for query, document in (*PAIRS, *OVERLONG)]


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> RerankRunner:
    return opened(make(tmp_path_factory.mktemp("pages") / NAME))


def opened(folder: Path) -> RerankRunner:
    return parity.opened(folder, RerankRunner)


def prepared(runner: RerankRunner, jobs: Sequence[RerankJob]) -> list[MixedPair]:
    return parity.prepared(runner, jobs, MixedPair)


def logits(runner: RerankRunner, items: Sequence[MixedItem]) -> np.ndarray:
    """Of one batch."""
    return np.array(parity.outcomes(runner, items))


def refusal(runner: RerankRunner, asked: RerankJob) -> JobError:
    [outcome] = runner.prepare([asked])
    assert isinstance(outcome, JobError)
    return outcome


def farthest(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a - b).max())


def image(width: int, height: int) -> ImagePart:
    file = BytesIO()
    Image.new("RGB", (width, height), "blue").save(file, "PNG")
    return ImagePart(file.getvalue())


def test_tokens_are_those_of_the_reference_also_where_a_document_is_cut(runner: RerankRunner):
    for item, expected in zip(prepared(runner, JOBS), IDS, strict=True):
        assert item.ids.tolist() == expected.tolist()


@pytest.mark.parametrize("layout", [each for each in LAYOUTS if each != "bare"])
def test_logits_equal_the_reference_alone_and_in_a_mixed_batch(tmp_path: Path, layout: str):
    runner = opened(make(tmp_path / NAME, layout))
    items = prepared(runner, JOBS)
    mixed = logits(runner, items)
    alone = np.concatenate([logits(runner, [item]) for item in items])
    assert farthest(mixed, REFERENCE["logits"]) < TOLERANCE
    assert farthest(alone, REFERENCE["logits"]) < TOLERANCE


def test_reference_tells_documents_apart():
    """Else what is compared above would prove little."""
    scores = np.sort(REFERENCE["scores"])
    assert scores[-1] - scores[0] > 0.8
    assert np.diff(scores).min() > 10 * TOLERANCE
    assert np.abs(REFERENCE["told"] - REFERENCE["logits"][: len(PAIRS)]).min() > 10 * TOLERANCE


def test_order_and_neighbours_do_not_change_a_logit(runner: RerankRunner):
    items = prepared(runner, JOBS)
    random = np.random.default_rng(7)
    for size in (2, 3, 5, 9):
        chosen = random.permutation(len(items))[:size]
        found = logits(runner, [items[number] for number in chosen])
        assert farthest(found, REFERENCE["logits"][chosen]) < TOLERANCE


def test_documents_of_one_job_score_as_the_reference_does_for_each(runner: RerankRunner):
    documents = [passage(PAIRS[n][1]) for n in RED_FOX]
    for raw, expected in ((False, REFERENCE["scores"]), (True, REFERENCE["logits"])):
        asked = job("red fox", *documents, raw_scores=raw)
        items = prepared(runner, [asked])
        result = runner.assemble(asked, items, runner.run(items))
        assert farthest(np.frombuffer(result.scores, "<f4"), expected[RED_FOX]) < TOLERANCE
        assert result.tokens == tuple(REFERENCE["tokens"][RED_FOX].tolist())


def test_instruction_takes_the_default_ones_place(runner: RerankRunner):
    told = [job(passage(query), passage(document), instruction=INSTRUCTION) for query, document in PAIRS]
    assert farthest(logits(runner, prepared(runner, told)), REFERENCE["told"]) < TOLERANCE


def test_rounded_shapes_change_no_score(
    runner: RerankRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("workers.runners.rerank.mixed_model.plans_per_shape", lambda: True)
    rounding = opened(make(tmp_path / NAME))
    items = prepared(runner, JOBS)
    for batch in (slice(0, 5), slice(5, None)):
        assert farthest(logits(rounding, items[batch]), REFERENCE["logits"][batch]) < TOLERANCE


def test_shared_prefixes_of_queries_with_images_are_computed_once_and_change_no_logit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("workers.runners.rerank.mixed_model.plans_per_shape", lambda: False)
    runner = opened(make(tmp_path / NAME))
    asked = [
        job(
            (ImagePart(png(4)), TextPart("red fox")),
            "dog",
            (ImagePart(png(0)),),
            "cat and snow",
        ),
        job((ImagePart(png(5)), TextPart("red fox")), "dog", "old horse"),
        job("a quick fox", "dog", (TextPart("cat"), ImagePart(png(4)))),
    ]
    items = prepared(runner, asked)
    assert all(0 < item.prefix_tokens < item.length for item in items)
    alone = np.concatenate([logits(runner, [item]) for item in items])
    seen: list[int] = []
    see = Qwen3VL._encode_images

    def counting(body: Qwen3VL, images: Sequence[Patches]):
        seen.append(len(images))
        return see(body, images)

    monkeypatch.setattr(Qwen3VL, "_encode_images", counting)
    assert farthest(logits(runner, items), alone) < TOLERANCE
    assert seen == [2, 2]  # pages 4 and 5 of the queries, then 0 and 4 of the documents


def test_an_image_is_decoded_once_for_all_documents(runner: RerankRunner):
    asked = job(
        (ImagePart(png(4)),),
        "dog",
        (ImagePart(png(0)),),
        (ImagePart(png(4)), TextPart("cat")),
    )
    first, second, third = prepared(runner, [asked])
    assert first.images[0] is second.images[0] is third.images[0] is third.images[1]
    assert [len(item.images) for item in (first, second, third)] == [1, 2, 2]


def test_text_parts_are_read_as_one_text_and_in_their_places(runner: RerankRunner):
    shown = ImagePart(png(3))
    one, same, other = prepared(
        runner,
        [
            job("red fox", (TextPart("a dog"), shown, TextPart("cat"))),
            job("red fox", (TextPart("a "), TextPart("dog"), shown, TextPart("cat"))),
            job("red fox", (shown, TextPart("a dogcat"))),
        ],
    )
    assert one.ids.tolist() == same.ids.tolist()
    assert one.grids[0].first > other.grids[0].first


@pytest.mark.parametrize(
    ("asked", "param", "message"),
    [
        (job("red fox", "dog", "fox " * 500), "documents", "Document 1: 709 tokens with the query"),
        (job("red fox", "dog", *[(image(2000, 2000),) * 9]), "documents", "Document 1: its images alone"),
        (
            job("red fox", *[(image(2000, 2000),) * 9], truncate=True),
            "documents",
            "Document 0: its images alone",
        ),
        (job("fox " * 500, "dog", truncate=True), "query", "leaves no room for document 0"),
        (
            job((image(2000, 2000),) * 9, "dog", truncate=True),
            "query",
            "leaves no room for document 0",
        ),
        (job("red fox", "dog", "a<|image_pad|>"), "documents", "Document 1: a text holds <|image_pad|>"),
        (
            job("red fox", (TextPart("<|image_"), TextPart("pad|>"))),
            "documents",
            "Document 0: a text holds <|image_pad|>",
        ),
        (job("<|video_pad|>", "dog"), "query", "The query: a text holds <|video_pad|>"),
        (job("red fox", "dog", instruction="<|image_pad|>"), "instruction", "The instruction: a text holds"),
        (job("red fox", (ImagePart(b"no image"),)), "documents", "Document 0: An image is in no format"),
        (job((ImagePart(png(0)[:900]),), "dog"), "query", "The query: An image cannot be decoded"),
        (job("red fox", "dog", (image(800, 2),)), "documents", "Document 1: An image of 800 * 2"),
        (job("red fox", "dog", ""), "documents", "Document 1 is empty"),
        (job("red fox", (TextPart(""),)), "documents", "Document 0 is empty"),
        (job("", "dog"), "query", "The query is empty"),
        (job("red fox"), "documents", "no document"),
    ],
)
def test_bad_job_is_refused_by_name_and_leaves_the_others_alone(
    runner: RerankRunner, asked: RerankJob, param: str, message: str
):
    before, refused, after = runner.prepare([JOBS[5], asked, JOBS[0]])
    assert isinstance(refused, InvalidInput)
    assert (refused.param, message in refused.message) == (param, True), refused.message
    assert isinstance(before, list) and before[0].ids.tolist() == IDS[5].tolist()
    assert isinstance(after, list) and after[0].ids.tolist() == IDS[0].tolist()


def test_overlong_document_is_cut_only_where_that_is_asked_for(runner: RerankRunner):
    for query, document in OVERLONG:
        error = refusal(runner, job(passage(query), passage(document)))
        assert (type(error), error.param) == (InputTooLong, "documents")
        assert "Document 0" in error.message and "`truncate`" in error.message


def test_images_stay_where_all_the_text_is_cut(runner: RerankRunner):
    shown = (image(320, 128),) * 7
    [full] = prepared(runner, [job("red fox", shown)])
    [cut] = prepared(runner, [job("red fox", (*shown, TextPart("dog " * 300)), truncate=True)])
    assert (cut.length, len(cut.images)) == (512, 7)
    assert cut.grids == full.grids
    end = full.grids[-1].first + 40 + 1
    assert cut.ids[:end].tolist() == full.ids[:end].tolist()
    behind = full.length - end
    assert cut.ids[-behind:].tolist() == full.ids[-behind:].tolist()


def test_model_says_what_it_is(runner: RerankRunner):
    info = runner.info
    assert (info.id, info.task, info.tasks, info.abilities) == (NAME, "rerank", ("rerank",), ("vision",))
    assert (info.dimensions, info.max_tokens) == (0, 512)
    assert runner.weight_bytes > 0


def test_it_scores_again_after_its_weights_have_left(tmp_path: Path):
    runner = opened(make(tmp_path / NAME))
    items = prepared(runner, JOBS[4:7])
    runner.unload()
    assert prepared(runner, JOBS[:1])[0].length == len(IDS[0])  # needs no weights
    assert farthest(logits(loaded(runner), items), REFERENCE["logits"][4:7]) < TOLERANCE


def test_table_of_embeddings_is_the_head_where_the_files_say_so(tmp_path: Path):
    tied = qwen3_vl.make(tmp_path / "tied" / NAME, tied=True)
    weights = load_file(tied / "model.safetensors")
    folder = make(tmp_path / NAME)
    table = weights["model.language_model.embed_tokens.weight"]
    save_file({**weights, "lm_head.weight": table}, folder / "model.safetensors", metadata={"format": "pt"})
    runners = opened(tied), opened(folder)
    items = prepared(runners[0], JOBS[:4])
    assert farthest(*(logits(each, items) for each in runners)) < TOLERANCE
    assert farthest(logits(runners[0], items), REFERENCE["logits"][:4]) > 1


def test_missing_head_is_refused(tmp_path: Path):
    folder = make(tmp_path / NAME)
    with changed_weights(folder) as weights:
        del weights["lm_head.weight"]
    with pytest.raises(InvalidInput, match="score"):
        open_runner(str(folder), Settings())


@pytest.mark.parametrize(
    ("config", "files", "message"),
    [
        ({"architectures": ["Qwen3VLForSequenceClassification"]}, {}, "is no Qwen3-VL-Reranker"),
        ({"architectures": ["Qwen3VLModel"]}, {}, "is no Qwen3-VL-Reranker"),
        ({"auto_map": {"AutoModel": "theirs.Model"}}, {}, "is no Qwen3-VL-Reranker"),
        ({}, {"1_LogitScore": {"true_token_id": 5, "false_token_id": None}}, "scores by one token"),
        ({"image_token_id": 3}, {}, "image_pad"),
    ],
)
def test_other_rerankers_of_its_type_are_refused(
    tmp_path: Path, config: dict[str, Any], files: dict[str, Any], message: str
):
    folder = make(tmp_path / NAME)
    write_json(folder / "config.json", {**json.loads((folder / "config.json").read_text()), **config})
    for name, content in files.items():
        (folder / name).mkdir()
        write_json(folder / name / "config.json", content)
    with pytest.raises(InvalidInput, match=message):
        open_runner(str(folder), Settings())


def test_weights_that_make_no_sound_score_are_refused_when_loaded(tmp_path: Path):
    """Also where only images break it."""
    for name in ("lm_head.weight", "model.visual.merger.norm.bias"):
        folder = make(tmp_path / name / NAME)
        with changed_weights(folder) as weights:
            weights[name][:] = np.nan
        with pytest.raises(InvalidInput, match="not finite"):
            opened(folder)


async def test_jobs_share_a_workers_batches_and_a_broken_image_fails_its_own(
    redis_server: RedisServer, runner: RerankRunner, monkeypatch: pytest.MonkeyPatch
):
    sizes: list[int] = []
    launch = runner.launch

    def noting(items: Sequence[MixedItem]):
        sizes.append(len(items))
        return launch(items)

    monkeypatch.setattr(runner, "launch", noting)
    monkeypatch.setattr("tests.support.running_worker.LIMITS", LIMITS._replace(tokens=4096))
    async with working_queue(redis_server.url, runner) as queue:

        async def scores(asked: RerankJob) -> np.ndarray:
            ticket = await queue.submit(asked, INTERACTIVE)
            found = await queue.wait(ticket.id, 60)
            assert isinstance(found, RerankResult)
            return np.frombuffer(found.scores, "<f4")

        broken = job("red fox", "dog", (ImagePart(b"GIF89a"),))
        *found, failed = await asyncio.gather(
            *[scores(each) for each in JOBS], scores(broken), return_exceptions=True
        )
    for each, expected in zip(found, REFERENCE["scores"], strict=True):
        assert isinstance(each, np.ndarray)
        assert abs(each[0] - expected) < TOLERANCE
    assert isinstance(failed, InvalidInput)
    assert failed.param == "documents" and "Document 1" in failed.message
    assert max(sizes) > 2  # so many has the trial when it is loaded
