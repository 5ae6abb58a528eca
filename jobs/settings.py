"""Every setting, in one place: a default, a unit in the name, and the reason. Read once, at the entry point."""

from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobs.catalogue.settings_models import DEFAULT_MODELS
from jobs.hosts.allow_list import AllowList
from jobs.models import declared_model

Seconds = Annotated[float, Field(gt=0)]
Milliseconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """Environment variables, prefixed MLXQ_ (REDIS_URL without)."""

    model_config = SettingsConfigDict(env_prefix="MLXQ_", populate_by_name=True)

    redis_url: str | None = Field(
        default=None,
        repr=False,  # it may hold a password
        validation_alias=AliasChoices("REDIS_URL", "MLXQ_REDIS_URL", "redis_url"),
        description="Redis, or sentinels. Unset: a redis-server or valkey-server on PATH, else the embedded Valkey.",
    )
    data: Path = Field(
        default=Path.home() / ".local" / "share" / "mlxq",
        description="Folder of the Redis that mlxq starts itself, and of what workers learn about batch sizes.",
    )
    results: Path | None = Field(
        default=None,
        description="Folder for results over 256 KiB, for API and workers. Unset: by our own Redis, else in Redis.",
    )
    qdrant_url: str | None = Field(
        default=None,
        repr=False,  # it may hold a password
        validation_alias=AliasChoices("QDRANT_URL", "MLXQ_QDRANT_URL", "qdrant_url"),
        description="Qdrant server for collections of vectors. Unset: the embedded store that `mlxq up` runs.",
    )
    qdrant_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of 127.0.0.1 on which the embedded store answers Qdrant's clients, too; 0 picks a free one.",
    )
    redis_bytes: int | None = Field(
        default=None,
        ge=64 * 1024**2,
        description="Memory for the Redis that mlxq starts itself. Unset: 10 % of the machine's or container's.",
    )
    wait_for_disk: bool = Field(
        default=False,
        description="Acknowledge asynchronous jobs once Redis has them on its disk: up to 1 s. Redis 7.2 or Valkey.",
    )
    host: str = Field(default="127.0.0.1", description="Address the API listens on; local only by default.")
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port the API listens on; 0 picks a free one."
    )
    origins: tuple[str, ...] = Field(
        default=(),
        description="Web pages that may call the API besides local ones: origins, such as https://*.example.org, or *.",
    )
    idle_timeout_s: int = Field(
        default=120,
        ge=1,
        description="A connection without a request for so long is closed; pools keep theirs for less.",
    )
    api_processes: int = Field(
        default=1, ge=1, le=64, description="API processes; one answers a few thousand requests per second."
    )
    models: tuple[str, ...] = Field(
        default=DEFAULT_MODELS,
        description="Models to serve: [ALIAS=]FOLDER_OR_NAME[,adapter=FOLDER][,draft=FOLDER_OR_NAME][,task=embed].",
    )
    declared_models: tuple[str, ...] = Field(
        default=(),
        description="Models to take jobs for before any worker has served them: TASK:NAME, as embed:all-MiniLM-L6-v2.",
    )
    model_bytes: int | None = Field(
        default=None,
        ge=1,
        description="Memory for the weights of models; the least recently used leave. Unset: 70 % of the device's.",
    )
    keep_alive_s: Seconds | None = Field(
        default=None,
        description="A model that nobody used for so long leaves the memory. Unset: when another one needs the room.",
    )
    log_level: str = Field(
        default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least severe event logged."
    )

    access_log: bool | None = Field(
        default=None,
        description="A line in the log for each request. Unset: `mlxq up` does, `mlxq serve` does not.",
    )

    ui_hosts: tuple[str, ...] = Field(
        default=(),
        description="Names under which browsers may call, besides addresses and this machine's own name.",
    )
    ingest_folders: tuple[Path, ...] = Field(
        default=(),
        description="Folders that may be ingested from the page /ui/ingest, with all in them. Unset: none.",
    )

    queue_limit: int = Field(
        default=100_000,
        ge=1,
        description="Jobs that may wait in one queue (task, model, lane); more are answered 429.",
    )
    queue_bytes: int = Field(
        default=1024**3,
        ge=1,
        description="Bytes of the jobs that may wait in one queue; more are answered 429.",
    )
    blob_bytes: int = Field(
        default=256 * 1024**2,
        ge=1024**2,
        description="Memory of Redis for pages on their way to workers, where there is no folder; ingest waits above.",
    )
    stored_chat_bytes: int = Field(
        default=64 * 1024**2,
        ge=1024**2,
        description="Memory of Redis for chats with store = true, compressed; more are answered 400.",
    )
    stored_chat_ttl_s: int = Field(
        default=30 * 86_400, ge=1, description="How long such a chat is kept; OpenAI's own time."
    )
    max_body_bytes: int = Field(
        default=32 * 1024 * 1024, ge=1024, description="Largest request body; 2,048 long texts fit."
    )
    bodies_bytes: int = Field(
        default=512 * 1024 * 1024,
        ge=1024,
        description="Bytes of request bodies that one API process holds at a time; more are answered 429.",
    )
    max_inputs: int = Field(
        default=2048, ge=1, description="Most inputs in one embedding request; OpenAI's own limit."
    )
    max_result_bytes: int = Field(
        default=128 * 1024 * 1024,
        ge=1024,
        description="Largest result of one job; 256 pages of a multi-vector model fit. Larger ones are answered 400.",
    )
    wait_s: Seconds = Field(
        default=300, description="Longest a synchronous request waits for its result before 504."
    )
    worker_wait_s: Seconds = Field(
        default=10,
        description="How long a synchronous request waits without a live worker before 503; a restart takes less.",
    )
    sync_result_ttl_s: int = Field(
        default=60,
        ge=1,
        description="How long the result of a synchronous request is kept, for safety polls.",
    )
    result_ttl_s: int = Field(
        default=86_400, ge=1, description="How long the result of an asynchronous job is kept."
    )
    time_limit_s: int = Field(
        default=600, ge=1, description="Longest run of a job that does not name its own limit."
    )
    idempotency_ttl_s: int = Field(
        default=86_400,
        ge=1,
        description="How long an Idempotency-Key is remembered after its job's end; at least as long as the result.",
    )

    trust_remote_code: tuple[str, ...] = Field(
        default=(),
        description="Hub models whose own programs `mlxq pull` may fetch, and run when it quantises: ORG/NAME.",
    )

    fetch_allow: tuple[str, ...] = Field(
        default=(),
        description="Hosts to fetch from though not public: names, host:port or networks, such as 10.0.0.0/8.",
    )
    fetch_max_bytes: int = Field(
        default=20 * 1024 * 1024, ge=1, description="Largest image or document that is fetched from a URL."
    )
    fetch_timeout_s: Seconds = Field(
        default=10, description="Longest that fetching one URL may take, redirects included."
    )
    max_image_pixels: int = Field(
        default=40_000_000,
        ge=1,
        description="Most pixels in one image; decoding takes 4 to 8 bytes of memory for each.",
    )

    lease_s: Seconds = Field(
        default=10, description="A job whose worker gave no sign of life for this long is given to another."
    )
    max_crashes: int = Field(
        default=4,
        ge=1,
        description="A job whose worker died or hung this often is failed. 1: with all others of that worker.",
    )
    batch_timeout_s: Seconds = Field(
        default=120, description="One device call that takes longer counts as hung; its worker is restarted."
    )
    batch_tokens: int | None = Field(
        default=None, ge=1, description="Padded tokens in one batch. Unset: chosen by the device."
    )
    max_padding: float = Field(
        default=0.08, ge=0, le=1, description="Share of a batch's tokens that may be padding."
    )
    token_interval_ms: Milliseconds = Field(
        default=50,
        description="Time between two tokens of an answer that other work may take up; faster than anyone reads.",
    )
    max_answers: int = Field(
        default=64,
        ge=1,
        description="Answers that a model writes at the same time; lower lanes take three quarters at most.",
    )
    prefix_cache_bytes: int = Field(
        default=2 * 1024**3, ge=0, description="Memory of a model for the state of prompts seen before."
    )
    starvation_s: Seconds = Field(
        default=5,
        description="Work of a lower lane that waited this long goes before fresh work of a higher lane.",
    )
    sweep_s: Seconds = Field(default=10, description="How often expired registry entries are removed.")

    @field_validator("declared_models")
    @classmethod
    def _check_declared_models(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for entry in entries:
            declared_model(entry)
        return entries

    @field_validator("fetch_allow")
    @classmethod
    def _check_fetch_allow(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        AllowList(entries)
        return entries
