import time
import zlib

import fakeredis
import msgspec
import pytest
from rq.job import Job as RqJob
from rq.job import JobStatus

from jobs.content import BlobPart, MixedInput, TextPart
from jobs.embed import EmbedJob
from jobs.errors import InternalError, UnknownModel, UnreadableJob
from jobs.generate import Chat, GenerateJob, Message, Prompt, Sampling, Tool
from jobs.job import Job, Lane, SubmitOptions
from jobs.rerank import RerankJob
from jobs.store import keys, record
from jobs.store.serializer import MsgpackSerializer
from jobs.tokenize import DetokenizeJob, TokenizeJob

JOB = EmbedJob(model="some/model:v1", inputs=("a text", (1, 2, 3)), dimensions=64)


def as_hash(options: SubmitOptions) -> dict[bytes, bytes]:
    fields = record.encode(JOB, options, "mlxq:reply:1")
    flat = [value if isinstance(value, bytes) else str(value).encode() for value in fields]
    return dict(zip(flat[::2], flat[1::2], strict=True))


@pytest.mark.parametrize(
    ("job", "version"),
    [
        (EmbedJob(model="m", inputs=("a",)), 2),
        (EmbedJob(model="m", inputs=("a",), max_tokens=7), record.VERSION),
        (EmbedJob(model="m", inputs=("a",), keep_alive_s=0), record.VERSION),
        (EmbedJob(model="m", inputs=()), record.VERSION),
        (RerankJob(model="m", query="q", documents=("d",)), 2),
        (TokenizeJob(model="m", served_as="embed", texts=("a",)), record.VERSION),
        (GenerateJob(model="m", prompt=Prompt("a")), record.VERSION),
    ],
)
def test_a_record_tells_the_first_version_that_reads_all_of_it(job: Job, version: int):
    fields = record.encode(job, SubmitOptions(), "")
    assert fields[fields.index("mlxq_version") + 1] == version


def test_a_job_with_other_fields_is_a_record_of_another_version():
    """Where this fails: an earlier version would not see the new field. Raise VERSION, and put the new number here."""
    kinds = (
        EmbedJob,
        GenerateJob,
        RerankJob,
        TokenizeJob,
        DetokenizeJob,
        Chat,
        Prompt,
        Message,
        Tool,
        Sampling,
    )
    fields = "; ".join(f"{kind.__name__} {' '.join(kind.__struct_fields__)}" for kind in kinds)
    assert {record.VERSION: zlib.crc32(fields.encode())} == {4: 65132413}


def test_rq_reads_our_job_record():
    options = SubmitOptions(
        lane=Lane.BULK, time_limit_s=77, result_ttl_s=55, retries=2, metadata={"team": "search"}
    )
    job = RqJob("id1", connection=fakeredis.FakeRedis(), serializer=MsgpackSerializer)
    job.restore(as_hash(options))
    assert job.origin == "embed:some/model:v1:bulk"
    assert (job.timeout, job.result_ttl, job.failure_ttl) == (77, 55, 55)
    assert job.get_status(refresh=False) is JobStatus.QUEUED
    assert (job.retries_left, job.retry_intervals) == (2, [1, 5])
    assert job.meta == {"team": "search"}
    assert job.func_name == record.FUNCTION
    assert job.args[0]["model"] == "some/model:v1"


def test_a_job_comes_back_as_it_was():
    assert record.decode_job(as_hash(SubmitOptions())[b"data"]) == JOB


def test_a_job_that_rq_compressed_is_readable_too():
    assert record.decode_job(zlib.compress(as_hash(SubmitOptions())[b"data"])) == JOB


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",
        b"garbage",
        b"\x80\x04\x95pickle",
        zlib.compress(b"garbage"),
        b"x\x9cbroken",
        msgspec.msgpack.encode([1, 2]),
    ],
)
def test_anything_else_is_an_unreadable_job(data: bytes | None):
    with pytest.raises(UnreadableJob):
        record.decode_job(data)


def test_a_stock_rq_job_is_refused_by_name():
    data = MsgpackSerializer.dumps(("os.system", None, [JOB], {}))
    with pytest.raises(UnreadableJob, match=r"os\.system"):
        record.decode_job(data)


def test_a_failure_comes_back_as_its_own_class():
    _, packed = record.encode_failure(UnknownModel("no such model", param="model").failure())
    error = record.decode_failure(packed).error()
    assert isinstance(error, UnknownModel)
    assert (error.message, error.param) == ("no such model", "model")


def test_a_failure_that_rq_wrote_shows_its_last_line():
    exc_string, _ = record.encode_failure(InternalError("Traceback…\nValueError: boom").failure())
    error = record.last_failure({b"exc_string": exc_string})
    assert isinstance(error, InternalError)
    assert error.message.endswith("ValueError: boom")


def test_an_id_of_ours_tells_when_its_job_was_submitted():
    before = time.time()
    found = record.created_at(record.new_id())
    assert found is not None
    assert before - 0.001 <= found <= time.time()


@pytest.mark.parametrize("job_id", ["2f1c8f9e-5d0b-4d6e-9a53-0f6c1f0f7a21", "job-1", "", "é" * 31])
def test_an_id_from_elsewhere_tells_no_time(job_id: str):
    assert record.created_at(job_id) is None


def test_queue_names_keep_models_with_colons_and_slashes_apart():
    name = keys.queue_name("embed", "org/model:tag", Lane.BULK)
    assert keys.parse_queue_name(name) == ("embed", "org/model:tag", Lane.BULK)
    assert keys.parse_queue_name("default") is None
    assert keys.parse_queue_name("embed:model:urgent") is None


def test_a_page_beside_the_queue_costs_what_its_pixels_do():
    def cost_of(pixels: int) -> int:
        page = BlobPart("0" * 64, 3 * pixels, pixels)
        return record.cost(EmbedJob(model="m", inputs=(MixedInput((page, TextPart("x" * 40))),)))

    assert [cost_of(pixels) for pixels in (1, 28 * 28, 768 * 28 * 28)] == [12, 12, 779]


@pytest.mark.parametrize(
    ("job", "cost"),
    [
        (TokenizeJob("m", "embed", ("a" * 40, "b" * 400)), 111),
        (TokenizeJob("m", "generate", chat=Chat((Message("user", (TextPart("a" * 40),)),))), 12),
        (DetokenizeJob("m", "embed", ((1, 2), (3,))), 4),
    ],
)
def test_tokenising_costs_by_its_size(job: TokenizeJob | DetokenizeJob, cost: int):
    assert record.cost(job) == cost
