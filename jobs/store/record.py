"""How a job lies in Redis: an RQ job hash (rq/job.py: Job.to_dict, Job.restore) whose data and result are msgpack.

RQ's `data` is [function name, instance, args, kwargs]; ours names no importable function, because only a BatchWorker
can run it.
"""

import base64
import json
import re
import secrets
import time
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import zstandard

from jobs.content import BlobPart, ImagePart, MixedInput, TextPart
from jobs.embed import EmbedJob
from jobs.errors import Failure, InternalError, JobError, UnreadableJob
from jobs.generate import Chat, GenerateJob, Prompt
from jobs.job import Job, JobView, SubmitOptions, task_of
from jobs.rerank import Passage, RerankJob
from jobs.store import keys
from jobs.tokenize import DetokenizeJob, TokenizeJob

FUNCTION = "mlxq.run"

VERSION = 4
"""The last one of the records that `encode` writes, and of their results. A process reads no record of a later
version, because it would not see what it does not know; workers leave such jobs to others. Raise it with every change
of a job, a result or a record that an earlier version would read wrongly or in part: a new option of a job, for one.
2: blobs. 3: scores of prompts, empty answers. 4: tokenising; which tokens may be chosen, which end an answer, and
their ids; beginnings of answers; the longest text to embed, how long its model stays, and none at all.
"""

READ_SINCE: dict[type[Job], int] = {EmbedJob: 2, RerankJob: 2}
"""The version since which jobs of a kind, without options that are newer, are read whole, and their results too. So
that workers of earlier versions go on with them while a fleet is updated. Other kinds: VERSION.
"""

PART_BYTES = 1 << 20
"""A larger job lies in Redis in parts of this size: writing or reading all of it at once would hold everybody up."""

MOST_PARTS = 4096
"""More than any job has. A record may say anything, and nobody may be held up by it."""

IMAGE_TOKENS = 750
"""A page at the resolution that visual models read."""

_PIXELS_PER_TOKEN = 28 * 28
"""Of an image whose size is known: what Qwen's vision models make one token of."""

RETRY_DELAYS_S = (1, 5, 30, 120)


_SAMPLE_BYTES = 1 << 16

_ZLIB, _ZSTANDARD = b"\x78", b"\x28\xb5\x2f\xfd"
"""How what these have compressed begins. Msgpack of a job begins with 0x94, that of a result with 0x8…"""

_ID_TIME_DIGITS = 11
"""So many hexadecimal digits of an id are its time, in milliseconds."""

_OUR_ID = re.compile("[0-9a-f]{31}")

_DATA = 5
"""Where the data is among what `encode` gives."""

pack = msgspec.msgpack.Encoder().encode
_decode_data = msgspec.msgpack.Decoder(tuple[str, None, tuple[Job], dict[str, Any]]).decode
_decode_failure = msgspec.msgpack.Decoder(Failure).decode
_decode_metadata = msgspec.msgpack.Decoder(dict[str, str]).decode


def timestamp() -> str:
    """Now, as RQ writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def cost(job: Job) -> int:
    """Rough tokens of a job, at least 1: what a worker claims by before it has tokenised anything."""
    match job:
        case GenerateJob():
            return job.n * (_rough_tokens(job.prompt) + (job.max_tokens or 0))
        case RerankJob():
            query = _passage_tokens(job.query)
            return sum(1 + query + _passage_tokens(document) for document in job.documents)
        case TokenizeJob():
            chat = 0 if job.chat is None else _rough_tokens(job.chat)
            return 1 + chat + sum(map(_tokens_of, job.texts))
        case DetokenizeJob():
            return 1 + sum(map(len, job.ids))
        case EmbedJob():
            return sum(1 + _input_tokens(content) for content in job.inputs)


def _tokens_of(content: str | tuple[int, ...]) -> int:
    return len(content) // 4 if isinstance(content, str) else len(content)


def _input_tokens(content: str | tuple[int, ...] | MixedInput) -> int:
    return _parts_tokens(content.parts) if isinstance(content, MixedInput) else _tokens_of(content)


def _passage_tokens(passage: Passage) -> int:
    return _tokens_of(passage) if isinstance(passage, str) else _parts_tokens(passage)


def _parts_tokens(parts: Sequence[TextPart | ImagePart | BlobPart]) -> int:
    return sum(map(_part_tokens, parts))


def _part_tokens(part: TextPart | ImagePart | BlobPart) -> int:
    match part:
        case TextPart():
            return _tokens_of(part.text)
        case BlobPart():
            return -(-part.pixels // _PIXELS_PER_TOKEN)
        case _:
            return IMAGE_TOKENS


def _rough_tokens(prompt: Chat | Prompt) -> int:
    if isinstance(prompt, Prompt):
        return 1 + _tokens_of(prompt.content)
    return 1 + sum(_parts_tokens(turn.content) for turn in prompt.messages)


def _size(job: Job) -> str:
    match job:
        case GenerateJob():
            return f"{job.n} answer(s)"
        case RerankJob():
            return f"{len(job.documents)} document(s)"
        case TokenizeJob():
            return f"tokenize {len(job.texts)} text(s)"
        case DetokenizeJob():
            return f"detokenize {len(job.ids)} text(s)"
        case EmbedJob():
            return f"{len(job.inputs)} input(s)"


def version_of(job: Job) -> int:
    """The first version whose processes read the whole job and its result."""
    if isinstance(job, EmbedJob) and (
        job.max_tokens is not None or job.keep_alive_s is not None or not job.inputs
    ):
        return VERSION
    return READ_SINCE.get(type(job), VERSION)


def encode(job: Job, options: SubmitOptions, channel: str) -> list[str | bytes | int]:
    """Fields and values of the job's hash, flat. `channel` is told of the outcome; "" tells nobody.

    A million of them wait in a queue, so what RQ does without is left out (enqueued_at).
    """
    fields: list[str | bytes | int] = [
        "created_at", timestamp(), "status", "queued",
        "data", pack((FUNCTION, None, (job,), {})),
        "origin", keys.queue_name(task_of(job), job.model, options.lane),
        "description", f"{task_of(job)} {_size(job)}",
        "timeout", options.time_limit_s,
        "result_ttl", options.result_ttl_s, "failure_ttl", options.result_ttl_s,
        "mlxq_cost", cost(job), "mlxq_version", version_of(job),
    ]  # fmt: skip
    if isinstance(job, GenerateJob) and job.stream:
        fields += ["mlxq_streams", 1]
    if channel:
        fields += ["mlxq_waiters", channel]
    if options.metadata:
        fields += ["meta", pack(options.metadata)]
    if options.retries:
        delays = [RETRY_DELAYS_S[min(n, len(RETRY_DELAYS_S) - 1)] for n in range(options.retries)]
        fields += ["retries_left", options.retries, "retry_intervals", json.dumps(delays)]
    return fields


def parted(fields: Sequence[str | bytes | int]) -> tuple[Sequence[str | bytes | int], Mapping[str, bytes]]:
    """Fields as `encode` gives them, and the parts of a large job's data (field: value), which are written first."""
    data = fields[_DATA]
    if not isinstance(data, bytes) or len(data) <= PART_BYTES:
        return fields, {}
    data = compressed_text(data)
    pieces = [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)]
    rest = [*fields, "mlxq_parts", len(pieces)]
    rest[_DATA] = pack((FUNCTION, None, (), {}))
    return rest, dict(zip(part_names(len(pieces)), pieces, strict=True))


def size_bytes(fields: Sequence[str | bytes | int], parts: Mapping[str, bytes]) -> int:
    """Bytes of a job's data. fields, parts: as `parted` gives them."""
    data = fields[_DATA]
    return (len(data) if isinstance(data, bytes) else 0) + sum(map(len, parts.values()))


def compressed_text(data: bytes) -> bytes:
    """Texts compressed, images and vectors as they are: what Redis writes to its disk holds everybody up, too.

    Not by zlib, with which RQ compresses: it takes 3 times as long, and 5 times as long to undo it.
    """
    compressor = zstandard.ZstdCompressor(level=1)
    sample = data[:_SAMPLE_BYTES]
    return compressor.compress(data) if len(compressor.compress(sample)) < 0.7 * len(sample) else data


def is_compressed(data: bytes) -> bool:
    """Whether `compressed_text` has made it smaller."""
    return data.startswith(_ZSTANDARD)


def part_names(parts: int) -> list[str]:
    """Fields that hold a large job's data, at most MOST_PARTS."""
    return [f"mlxq_data_{n}" for n in range(min(parts, MOST_PARTS))]


def decode_job(data: bytes | None) -> Job:
    """The job in RQ's `data` field. Raises UnreadableJob."""
    if data is None:
        raise UnreadableJob
    try:
        if is_compressed(data):
            data = zstandard.ZstdDecompressor().decompress(data)
        elif data.startswith(_ZLIB):
            data = zlib.decompress(data)  # RQ compresses, when the job was enqueued through it
        function, _, (job,), _ = _decode_data(data)
    except (msgspec.MsgspecError, zlib.error, zstandard.ZstdError, ValueError) as error:
        raise UnreadableJob from error
    if function != FUNCTION:
        raise UnreadableJob(f"This queue runs mlxq jobs only, not {function!r}. Use another queue for it.")
    return job


def encode_failure(failure: Failure) -> tuple[bytes, bytes]:
    """(exc_string as RQ stores it, our msgpack)."""
    text = f"{failure.code}: {failure.message}"
    return base64.b64encode(zlib.compress(text.encode())), pack(failure)


def decode_failure(failure: bytes) -> Failure:
    """The reverse of `encode_failure`'s msgpack. Raises: msgspec.MsgspecError."""
    return _decode_failure(failure)


def queue_of(job: Job, options: SubmitOptions) -> str:
    """Name of the queue that a job with these options belongs to."""
    return keys.queue_name(task_of(job), job.model, options.lane)


def last_failure(row: Mapping[bytes, bytes]) -> JobError | None:
    """The error in an entry of rq:results, whoever wrote it; None for a success."""
    if b"failure" in row:
        return decode_failure(row[b"failure"]).error()
    if b"exc_string" in row:
        text = zlib.decompress(base64.b64decode(row[b"exc_string"])).decode()
        return InternalError(text.strip().rpartition("\n")[2])
    return None


VIEW_FIELDS = (
    "origin", "status", "mlxq_attempts", "created_at", "started_at", "ended_at", "worker_name", "meta", "mlxq_version"
)  # fmt: skip
"""What `view` reads of a record; its `data` may be megabytes."""


def named(values: Sequence[bytes | None]) -> dict[bytes, bytes]:
    """The reply to an HMGET of VIEW_FIELDS as the fields that are there."""
    pairs = zip(VIEW_FIELDS, values, strict=True)
    return {name.encode(): value for name, value in pairs if value is not None}


def is_ours(origin: bytes | None) -> bool:
    """Whether a record's `origin` is one of our queues: RQ keeps everybody's jobs under the same prefix."""
    return origin is not None and keys.parse_queue_name(origin.decode(errors="replace")) is not None


def check_version(written_by: bytes | None) -> None:
    """Raises UnreadableJob for a record of a later version. written_by: its mlxq_version; RQ's own users write none."""
    if written_by is not None and written_by.isdigit() and int(written_by) > VERSION:
        raise UnreadableJob(
            f"The job is of a later version of mlxq: its record has the version {int(written_by)}, and this process "
            f"reads up to {VERSION}. Ask an API process of that version, or update this one."
        )


def view(
    job_id: str,
    fields: Mapping[bytes, bytes],
    position: int | None,
    rows: Sequence[tuple[bytes, Mapping[bytes, bytes]]],
) -> tuple[JobView, bytes | None]:
    """What a caller may know of a job, and its stored result where there is one (jobs.results.encoding reads it)."""
    text = {name.decode(): value for name, value in fields.items()}
    origin = text.get("origin", b"").decode(errors="replace")
    parsed = keys.parse_queue_name(origin) or ("", origin, "")
    status = text.get("status", b"unknown").decode(errors="replace")
    attempts = text.get("mlxq_attempts", b"")
    row: Mapping[bytes, bytes] = rows[0][1] if rows else {}
    error = last_failure(row) if status in ("failed", "stopped") else None
    found = JobView(
        id=job_id,
        status=status,
        task=parsed[0],
        model=parsed[1],
        lane=str(parsed[2]),
        position=position,
        # Of a job that ended at its first attempt, the record does not tell.
        attempts=int(attempts) if attempts.isdigit() else int("started_at" in text),
        created_at=_epoch_s(text.get("created_at")),
        started_at=_epoch_s(text.get("started_at")),
        ended_at=_epoch_s(text.get("ended_at")),
        worker=text["worker_name"].decode(errors="replace") if text.get("worker_name") else None,
        metadata=_metadata(text.get("meta")),
        error=error.failure() if error else None,
    )
    return found, row.get(b"return_value") if status == "finished" else None


def _metadata(meta: bytes | None) -> dict[str, str]:
    try:
        return _decode_metadata(meta) if meta else {}
    except msgspec.MsgspecError:
        return {}  # RQ users may keep anything there


def _epoch_s(iso: bytes | None) -> float | None:
    if not iso:
        return None
    try:
        return datetime.fromisoformat(iso.decode()).timestamp()
    except ValueError:
        return None


def new_id() -> str:
    """A job id: sortable by creation time, unguessable."""
    return f"{int(time.time() * 1000):0{_ID_TIME_DIGITS}x}{secrets.token_hex(10)}"


def id_of_time(at: float) -> str:
    """What is less than all ids that `new_id` made since then. at: seconds since the epoch."""
    return f"{int(at * 1000):0{_ID_TIME_DIGITS}x}"


def place(job_id: str) -> str:
    """What an id sorts by in lists of jobs: by its time. Ids from elsewhere are before all others."""
    return job_id if _OUR_ID.fullmatch(job_id) else f"/{job_id}"


def id_at(place: str) -> str:
    """The reverse of `place`."""
    return place.removeprefix("/")


def created_at(job_id: str) -> float | None:
    """When an id of `new_id` was made, in seconds since the epoch; None for an id from elsewhere, such as RQ's."""
    if _OUR_ID.fullmatch(job_id) is None:
        return None
    return int(job_id[:_ID_TIME_DIGITS], 16) / 1000
