"""The whole way of a page, with everything around it in memory."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import numpy as np
import pytest

from bench.ingest.noop_pages import IMAGE_PIXELS, PATCHES
from ingest.collections.layout import page_id
from ingest.documents.page import Heading
from ingest.documents.problem import Problem
from ingest.documents.process.process import ReadingUnavailable
from ingest.documents.wants import RenderBudget
from ingest.manifest.manifest import FingerprintChanged
from ingest.pipeline.progress import Progress
from ingest.pipeline.texts import CHUNKS_A_JOB, MAX_JOBS, SECTION_PAGES
from ingest.pipeline.waits import PipelineStopped
from ingest.pipeline.work import DocumentWork
from ingest.qdrant.bulk import UpsertFailed
from jobs import errors
from jobs.content import MixedInput
from jobs.embed import EmbedJob, EmbedResult
from jobs.search.errors import StoreUnavailable
from tests.support.pipeline.fakes import Times
from tests.support.waiting import until_async
from tests.unit.ingest.pipeline.conftest import Bench, damaged, page


async def test_every_page_of_every_document_is_stored_once_in_both_kinds(bench: Bench):
    bench.documents(a=3, b=40)
    summary = await bench.run("visual", "text")
    pages = [("a", n) for n in (1, 2, 3)] + [("b", n) for n in range(1, 41)]
    assert bench.collections.pages("visual") == bench.collections.pages("text") == pages
    assert set(bench.states().values()) == {"done"}
    assert (summary.documents_done, summary.kinds["visual"].stored, summary.kinds["text"].stored) == (
        2,
        43,
        43,
    )
    assert len(bench.reader.reads) == 2  # once for both kinds
    assert max(bench.collections.upserts) <= 32  # 16, or a section of text
    assert (bench.queue.jobs, bench.left()) == ({}, [])


async def test_the_model_reads_a_chunk_below_its_heading(bench: Bench):
    headed = msgspec.structs.replace(page("a", 1, text="a line"), headings=(Heading("Letters", 0, 0),))
    bench.reader.documents["a"] = [headed]
    read = list[object]()
    bench.queue.before_submit = lambda job: read.extend(job.inputs)
    await bench.run("text")
    assert read == ["Letters\na line"]


async def test_sections_of_text_are_sent_one_after_the_other(bench: Bench):
    bench.documents(a=2)
    bench.reader.documents["a"] = [
        page("a", number, text="\n".join(f"line {line} of {number}" for line in range(CHUNKS_A_JOB)))
        for number in range(1, 3 * SECTION_PAGES + 1)
    ]
    sent = list[int]()
    bench.queue.before_submit = lambda job: sent.append(int(str(job.inputs[0]).rpartition(" ")[2]))
    bench.queue.gate.clear()
    run = asyncio.create_task(bench.run("text"))

    async def all_are_read() -> bool:
        return bench.reader.pages_read == 3 * SECTION_PAGES and len(sent) == MAX_JOBS

    await until_async(all_are_read)
    bench.queue.gate.set()
    await run
    assert sent == sorted(sent)


async def test_a_point_tells_where_its_page_is_and_has_its_vectors(bench: Bench):
    bench.documents(a=1)
    await bench.run("visual")
    point = bench.collections.points["documents-visual"][page_id("a", 1)]
    assert {key: point.payload[key] for key in ("document", "paths", "page", "label")} == {
        "document": "a",
        "paths": ["/there/a"],
        "page": 1,
        "label": "1",
    }
    assert point.vectors["patches"].shape == (PATCHES, 128)
    assert point.vectors["patches"].dtype == np.float16
    assert point.payload["grids"] == [[0, 32, 23]]


async def test_pages_are_drawn_as_large_as_the_model_reads_them(bench: Bench):
    bench.documents(a=1)
    await bench.run("visual")
    assert bench.reader.reads[0][1].image == RenderBudget(IMAGE_PIXELS, 28)
    assert bench.collections.ensured[0][3].made_by == f"pages of {IMAGE_PIXELS} pixels"


async def test_a_second_run_reads_only_what_is_missing(bench: Bench):
    bench.documents(a=4)
    bench.reader.documents["a"] = [page("a", 1), damaged(2), page("a", 3), page("a", 4)]
    await bench.run("visual")
    assert bench.problems() == [("a", 2, "unreadable")]
    bench.documents(a=4)
    await bench.run("visual")
    assert bench.reader.reads[-1][2] == {1, 3, 4}
    assert bench.collections.pages("visual") == [("a", n) for n in (1, 2, 3, 4)]
    assert bench.problems() == []
    assert set(bench.queue.computed.values()) == {1}


async def test_kinds_of_which_something_else_is_done_are_read_apart(bench: Bench):
    bench.documents(a=3)
    await bench.run("visual")
    await bench.run("visual", "text")
    [(_, visual, skipped), (_, text, from_start)] = bench.reader.reads[1:]
    assert (visual.image is not None, visual.text, skipped) == (True, False, {1, 2, 3})
    assert (text.image, text.text, from_start) == (None, True, frozenset())
    assert bench.collections.pages("text") == [("a", 1), ("a", 2), ("a", 3)]


async def test_bad_files_and_pages_are_problems_and_all_others_are_stored(bench: Bench):
    bench.documents(a=2, c=1)
    bench.reader.documents["b"] = [Problem("encrypted", "It has a password.")]
    bench.reader.documents["d"] = [damaged(1), page("d", 2)]
    summary = await bench.run("visual", "text")
    assert bench.collections.pages("visual") == [("a", 1), ("a", 2), ("c", 1), ("d", 2)]
    assert bench.states()["b", "visual"] == bench.states()["b", "text"] == "failed"
    assert bench.problems() == [("b", None, "encrypted"), ("d", 1, "unreadable")]
    assert (summary.documents_done, summary.documents_failed) == (3, 1)
    assert summary.kinds["visual"].pages_failed == 1


async def test_a_page_that_the_model_refuses_fails_alone(bench: Bench):
    bench.documents(a=3)

    def refuse_second(job: EmbedJob) -> None:
        if len(bench.queue.computed) == 1:
            raise errors.WorkerLost

    bench.queue.before_run = refuse_second
    bench.window = 1
    await bench.run("visual")
    assert len(bench.collections.pages("visual")) == 1
    bench.queue.before_run = lambda job: None
    assert {each[2] for each in bench.problems()} == {"not_embedded"}
    await bench.run("visual")
    assert bench.collections.pages("visual") == [("a", 1), ("a", 2), ("a", 3)]
    assert bench.left() == []


async def test_of_chunks_that_share_a_job_only_the_one_at_fault_fails(bench: Bench):
    bench.documents(a=10)
    bench.reader.documents["a"] = [*bench.reader.documents["a"], page("a", 11, text="good\nbad\ngood")]

    def refuse_bad(job: EmbedJob) -> None:
        if "bad" in job.inputs:
            raise errors.InvalidInput("too bad")

    bench.queue.before_run = refuse_bad
    await bench.run("text")
    assert bench.collections.pages("text") == [("a", n) for n in (*range(1, 11), 11, 11)]
    assert bench.problems() == [("a", 11, "not_embedded")]
    assert bench.manifest.done_pages("documents", "text", "a") == set(range(1, 11))


@pytest.mark.parametrize("spoiled", [np.nan, np.inf])
async def test_vectors_that_are_no_numbers_are_not_stored(bench: Bench, spoiled: float):
    bench.documents(a=1)

    def spoil(result: EmbedResult) -> EmbedResult:
        vectors = np.frombuffer(result.vectors, "<f4").copy()
        vectors[5] = spoiled
        return msgspec.structs.replace(result, vectors=vectors.tobytes())

    bench.queue.change = spoil
    await bench.run("visual")
    assert (bench.collections.pages("visual"), bench.problems()) == ([], [("a", 1, "not_embedded")])
    assert (bench.queue.jobs, bench.left()) == ({}, [])


@pytest.mark.parametrize(
    "error",
    [
        errors.Overloaded(retry_after_s=3600),
        errors.QueueUnavailable(),
        errors.NoWorker(),
        errors.UnknownModel(),
    ],
    ids=lambda error: error.code,
)
async def test_what_passes_is_waited_for(bench: Bench, error: errors.JobError):
    bench.documents(a=3)
    bench.queue.before_submit = Times(error, error)
    bench.queue.before_wait = Times(errors.ResultTimeout(), error)
    await bench.run("visual")
    assert bench.collections.pages("visual") == [("a", 1), ("a", 2), ("a", 3)]
    assert bench.problems() == []
    assert set(bench.queue.computed.values()) == {1}


async def test_what_is_waited_for_is_told(bench: Bench):
    bench.documents(a=3)
    pipeline = bench.pipeline("visual")
    bench.queue.before_submit = Times(*[errors.NoWorker()] * 1000)
    run = asyncio.create_task(pipeline.run(bench.work("visual")))

    async def is_told() -> bool:
        return "No worker serves the model" in pipeline.progress.waiting_for

    await until_async(is_told)
    bench.queue.before_submit = lambda job: None
    await run
    assert pipeline.progress.waiting_for == ""


async def test_a_job_that_ends_with_an_error_of_ours_is_done_again(bench: Bench):
    bench.documents(a=1)
    bench.queue.before_run = Times(errors.InternalError(), errors.ModelNotLoadable(), errors.InternalError())
    await bench.run("visual")
    assert bench.collections.pages("visual") == [("a", 1)]


async def test_a_page_whose_blob_is_gone_is_drawn_and_put_again(bench: Bench):
    bench.documents(a=2)

    def lose(job: EmbedJob) -> None:
        bench.queue.before_run = lambda job: None
        for name in bench.left():
            (bench.blobs.path / name).unlink()

    bench.queue.before_run = lose
    await bench.run("visual")
    assert bench.collections.pages("visual") == [("a", 1), ("a", 2)]
    assert bench.reader.drawn
    assert bench.left() == []


async def test_the_store_is_waited_for(bench: Bench):
    bench.documents(a=3)
    bench.collections.before_upsert = Times(StoreUnavailable(), StoreUnavailable())
    await bench.run("visual", "text")
    assert bench.collections.pages("visual") == [("a", 1), ("a", 2), ("a", 3)]


async def test_a_store_that_refuses_points_again_and_again_ends_the_run(bench: Bench):
    bench.documents(a=3)
    bench.collections.before_upsert = Times(*[UpsertFailed("no room on the disk")] * 100)
    with pytest.raises(PipelineStopped, match="no room on the disk"):
        await bench.run("visual")
    assert bench.manifest.done_pages("documents", "visual", "a") == set()


async def test_a_model_that_has_changed_ends_the_run(bench: Bench):
    bench.documents(a=3)
    bench.queue.before_run = Times(*[errors.ModelChanged()] * 100)
    with pytest.raises(PipelineStopped, match="Other files"):
        await bench.run("visual")


async def test_another_fingerprint_is_refused_before_anything_is_read(bench: Bench):
    bench.documents(a=1)
    bench.manifest.set_fingerprint("documents", "visual", "of another model")
    with pytest.raises(FingerprintChanged, match="--into"):
        await bench.run("visual")
    assert bench.reader.reads == []


async def test_no_more_pages_than_the_window_are_on_their_way(bench: Bench):
    bench.documents(a=50, b=50)
    bench.queue.gate.clear()
    run = asyncio.create_task(bench.run("visual"))

    async def is_full() -> bool:
        return bench.queue.most_waiting == bench.window

    await until_async(is_full)
    for _ in range(100):
        await asyncio.sleep(0)
    assert bench.reader.pages_read <= bench.window + 2  # one for each document, which waits for room
    assert len(bench.left()) <= bench.window
    bench.queue.gate.set()
    await run
    assert bench.queue.most_waiting == bench.window
    assert len(bench.collections.pages("visual")) == 100


async def test_a_run_that_is_asked_to_stop_finishes_what_is_on_its_way(bench: Bench):
    bench.documents(a=50, b=50)
    bench.queue.gate.clear()
    pipeline = bench.pipeline("visual")
    run = asyncio.create_task(pipeline.run(bench.work("visual")))

    async def is_full() -> bool:
        return bench.queue.most_waiting == bench.window

    await until_async(is_full)
    pipeline.stop()
    bench.queue.gate.set()
    summary = await run
    stored = bench.collections.pages("visual")
    assert summary.stopped
    assert bench.window <= len(stored) <= bench.window + 2
    assert set(bench.states().values()) == {"open"}
    assert (bench.queue.jobs, bench.left()) == ({}, [])
    await bench.run("visual")
    assert len(bench.collections.pages("visual")) == 100
    assert set(bench.queue.computed.values()) == {1}


async def test_work_that_is_long_in_coming_does_not_keep_a_run_from_stopping(bench: Bench):
    pipeline = bench.pipeline("visual")

    async def never() -> AsyncIterator[DocumentWork]:
        await asyncio.Event().wait()
        for each in ():
            yield each

    run = asyncio.create_task(pipeline.run(never()))
    await asyncio.sleep(0)
    pipeline.stop()
    assert (await run).documents_done == 0


async def test_a_run_that_was_killed_finds_its_jobs_again(bench: Bench):
    bench.documents(a=8)
    bench.collections.before_upsert = Times(*[StoreUnavailable()] * 10_000)
    killed = asyncio.create_task(bench.run("visual"))

    async def are_embedded() -> bool:
        return len(bench.queue.computed) == 8

    await until_async(are_embedded)
    killed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await killed
    bench.collections.before_upsert = lambda: None
    await bench.run("visual")
    assert len(bench.collections.pages("visual")) == 8
    assert set(bench.queue.computed.values()) == {1}


async def test_an_expired_result_and_a_key_of_another_job_cost_a_second_computation_and_nothing_else(
    bench: Bench,
):
    bench.documents(a=1)
    bench.queue.before_submit = Times(errors.IdempotencyConflict())
    bench.queue.before_wait = Times(errors.UnknownJob())
    await bench.run("visual")
    assert bench.collections.pages("visual") == [("a", 1)]


async def test_equal_pages_are_stored_each_and_share_a_blob(bench: Bench):
    bench.documents(a=1)
    [first] = bench.reader.documents["a"]
    assert not isinstance(first, Problem)
    bench.reader.documents["a"] = [
        msgspec.structs.replace(first, number=n, label=f"{n}") for n in range(1, 7)
    ]
    most = 0

    def count(job: EmbedJob) -> None:
        nonlocal most
        most = max(most, len(bench.left()))
        assert isinstance(job.inputs[0], MixedInput)

    bench.queue.before_run = count
    await bench.run("visual")
    assert bench.collections.pages("visual") == [("a", n) for n in range(1, 7)]
    assert (most, bench.left()) == (1, [])


async def test_a_document_of_texts_alone_has_no_visual_pages_and_is_done(bench: Bench):
    bench.documents(a=2)
    bench.reader.documents["a"] = [
        msgspec.structs.replace(each, image=None) for each in bench.reader.documents["a"]
    ]
    await bench.run("visual", "text")
    assert (bench.collections.pages("visual"), len(bench.collections.pages("text"))) == ([], 2)
    assert set(bench.states().values()) == {"done"}
    assert bench.manifest.done_pages("documents", "visual", "a") == {1, 2}


async def test_headings_reach_beyond_what_is_cut_into_chunks_together(bench: Bench):
    bench.documents(a=SECTION_PAGES + 1)
    first, *others = bench.reader.documents["a"]
    headed = msgspec.structs.replace(first, headings=(Heading("Introduction", 0),))
    bench.reader.documents["a"] = [headed, *others]
    await bench.run("text")
    assert {point.payload["heading"] for point in bench.collections.points["documents-text"].values()} == {
        "Introduction"
    }


async def test_headings_of_pages_that_are_done_stand_above_those_that_are_read_later(bench: Bench):
    headed = [
        msgspec.structs.replace(page("a", n), headings=(Heading(title, 0),))
        for n, title in ((1, "Introduction"), (3, "Methods"))
    ]
    bench.reader.documents["a"] = [headed[0], damaged(2), headed[1], damaged(4)]
    await bench.run("visual", "text")
    bench.reader.documents["a"] = [headed[0], page("a", 2), headed[1], page("a", 4)]
    await bench.run("visual", "text")
    texts = bench.collections.points["documents-text"].values()
    found = sorted((each.payload["page"], each.payload["heading"]) for each in texts)
    assert found == [(1, "Introduction"), (2, "Introduction"), (3, "Methods"), (4, "Methods")]
    assert bench.problems() == []
    skipped = {(wants.image is not None, skip) for _, wants, skip in bench.reader.reads[1:]}
    assert skipped == {(True, frozenset({1, 3})), (False, frozenset[int]())}  # nothing is drawn twice


async def test_a_page_that_is_done_stays_so_where_it_cannot_be_read_again(bench: Bench):
    bench.reader.documents["a"] = [page("a", 1), damaged(2)]
    await bench.run("text")
    bench.reader.documents["a"] = [damaged(1), page("a", 2)]
    await bench.run("text")
    assert bench.collections.pages("text") == [("a", 1), ("a", 2)]
    assert (bench.problems(), set(bench.states().values())) == ([], {"done"})


async def test_a_reader_that_cannot_be_started_ends_the_run(bench: Bench):
    bench.documents(a=1)

    def cannot(*_: object) -> None:
        raise ReadingUnavailable("no memory")

    bench.reader.before_read = cannot
    with pytest.raises(PipelineStopped, match="no memory"):
        await bench.run("visual")


async def test_warnings_are_written_down_and_their_pages_stored(bench: Bench):
    bench.documents(a=1)
    warning = Problem("no_ink", "It has text, and its picture is blank.", 1)
    [first] = bench.reader.documents["a"]
    bench.reader.documents["a"] = [msgspec.structs.replace(first, warnings=(warning,))]
    await bench.run("visual")
    assert bench.collections.pages("visual") == [("a", 1)]
    assert [(each.kind, each.is_warning) for each in bench.manifest.problems()] == [("no_ink", True)]


def test_the_narrowest_stage_is_told():
    progress = Progress(window=10)
    progress.documents_begun = 1
    counts = progress.of("visual")
    counts.sent = 2
    assert progress.held_up_by == "reading"
    counts.sent = 10
    assert progress.held_up_by == "device"
    counts.embedded = 8
    assert progress.held_up_by == "device"  # chunks whose neighbours are not embedded yet
    counts.handed = 8
    assert progress.held_up_by == "store"
