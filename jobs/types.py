"""The values that cross a process: jobs, results, and what is said about them. All frozen, all msgpack."""

import enum
from typing import Literal

import msgspec

from jobs.errors import Failure
from jobs.generation import GenerateJob, GenerateResult, ImagePart, TextPart
from jobs.rerank import RerankJob, RerankResult


class Lane(enum.StrEnum):
    """Three lanes, served in this order; a batch with room is topped up from the lanes below."""

    INTERACTIVE = "interactive"
    DEFAULT = "default"
    BULK = "bulk"


LANES = tuple(Lane)

Truncate = Literal["none", "start", "end"]


InputType = Literal["query", "document"]


class Page(msgspec.Struct, frozen=True, tag="page"):
    """Pictures, and texts beside them, that are read together as one input."""

    parts: tuple[TextPart | ImagePart, ...]


class EmbedJob(msgspec.Struct, frozen=True, tag="embed", tag_field="task"):
    """Turn every input into one vector or, by a multi-vector model, into one for each of its tokens or patches.

    inputs: texts, or token ids of the model's own tokenizer (with or without its special tokens), or pages.
    dimensions: Matryoshka cut; the vector is cut to this many values and renormalised. None: the model's own size.
    truncate: what to do with an input over the model's limit: "none" is an error, "end" drops tokens at the end,
        "start" at the start (special tokens and the prompt are kept).
    prompt_name: a key of the model's prompts (config_sentence_transformers.json), put before each text.
    instruction: a task description for instruction-tuned models; excludes prompt_name.
    input_type: what the inputs are, for models that treat queries and documents differently; None: a page is a
        document, and a text what the model takes it for by itself.
    """

    model: str
    inputs: tuple[str | tuple[int, ...] | Page, ...]
    dimensions: int | None = None
    truncate: Truncate = "none"
    prompt_name: str | None = None
    instruction: str | None = None
    input_type: InputType | None = None


class PatchGrid(msgspec.Struct, frozen=True):
    """Where a picture's vectors are: rows * columns of them, row by row, from vector number `first` of its input on."""

    first: int
    rows: int
    columns: int


class EmbedResult(msgspec.Struct, frozen=True, tag="embed_result"):
    """Unit-length vectors in the inputs' order.

    vectors: float32, little-endian, C order, shape (vectors, dimensions).
    tokens: tokens the model read for each input, special tokens and prompt included.
    counts: vectors of each input, of a multi-vector model; empty: one each.
    grids: of each input's pictures, of a multi-vector model; empty for texts alone.
    """

    dimensions: int
    vectors: bytes
    tokens: tuple[int, ...]
    counts: tuple[int, ...] = ()
    grids: tuple[tuple[PatchGrid, ...], ...] = ()


Job = EmbedJob | GenerateJob | RerankJob
Result = EmbedResult | GenerateResult | RerankResult


class ModelInfo(msgspec.Struct, frozen=True):
    """What a worker announces about a model it serves.

    dimensions: size of the vector (0: it makes none). min_dimensions: smallest Matryoshka cut, None where the model
    allows no cut. max_tokens: longest input, in tokens, special tokens included; for a generator, its context.
    prompts: names that `prompt_name` may take. abilities: of a generator: vision, tools, reasoning; of an embedder:
    vision, multi_vector; of a reranker: vision. hub_name: ORGANISATION/NAME on Hugging Face; empty: not known.
    """

    id: str
    task: str
    created: int
    dimensions: int
    max_tokens: int
    min_dimensions: int | None = None
    prompts: tuple[str, ...] = ()
    abilities: tuple[str, ...] = ()
    hub_name: str = ""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Those of its queues. A multi-vector model also reranks: by its vectors' similarity (late interaction)."""
        return (self.task, "rerank") if "multi_vector" in self.abilities else (self.task,)


class SubmitOptions(msgspec.Struct, frozen=True):
    """How a job is to be treated; what it computes is in the job itself.

    time_limit_s: longest run, counted from the first start of an attempt.
    ttl_s: longest wait in the queue; None waits for ever.
    result_ttl_s: how long the result (or the failure) is kept after the end.
    retries: how often a failed run is tried again (not for invalid input), with back-off.
    idempotency_key: a second submit with this key returns the first job.
    awaited: the submitter calls `wait` next, and is told of the outcome without having to ask.
    """

    lane: Lane = Lane.DEFAULT
    time_limit_s: int = 600
    ttl_s: int | None = None
    result_ttl_s: int = 86_400
    retries: int = 0
    metadata: dict[str, str] = {}
    idempotency_key: str | None = None
    awaited: bool = False


class Ticket(msgspec.Struct, frozen=True):
    """The answer to a submit. `created` is False where an idempotency key named an earlier job."""

    id: str
    created: bool


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a caller may know about a job. Times are seconds since the epoch.

    status: RQ's words: queued, started, finished, failed, canceled, stopped, scheduled (waits for a retry), deferred.
    position: jobs before it in its queue, 0 is next; None unless queued.
    attempts: how often a worker started it.
    """

    id: str
    status: str
    task: str
    model: str
    lane: str
    position: int | None = None
    attempts: int = 0
    created_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    worker: str | None = None
    metadata: dict[str, str] = {}
    result: Result | None = None
    error: Failure | None = None


class LaneStats(msgspec.Struct, frozen=True, kw_only=True):
    """One queue. drain_rate: jobs per second that all live workers took from it lately."""

    queue: str
    task: str
    model: str
    lane: str
    queued: int
    started: int
    scheduled: int
    finished: int
    failed: int
    limit: int
    drain_rate: float


class LoadedModel(msgspec.Struct, frozen=True):
    """A model in a worker's memory. expires_at: when it leaves if nobody uses it, in seconds since the epoch; None for
    never.
    """

    id: str
    size_bytes: int
    expires_at: float | None


class WorkerStats(msgspec.Struct, frozen=True, kw_only=True):
    """A live worker, as it last described itself. seen_at: when, in seconds since the epoch. models: what it serves.
    loaded: those of them that are in memory.
    """

    name: str
    models: tuple[str, ...]
    seen_at: float
    jobs_in_hand: int
    drain_rate: dict[str, float]
    loaded: tuple[LoadedModel, ...] = ()


class QueueStats(msgspec.Struct, frozen=True):
    queues: tuple[LaneStats, ...]
    workers: tuple[WorkerStats, ...]
