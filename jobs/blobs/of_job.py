"""The blobs that a job names."""

from msgspec.structs import replace

from jobs.blobs.store import BlobStore
from jobs.content import BlobPart, ImagePart, MixedInput, TextPart
from jobs.embed import EmbedJob
from jobs.job import Job


def blobs_of(job: Job) -> tuple[BlobPart, ...]:
    """In the order in which they are read."""
    if not isinstance(job, EmbedJob):
        return ()
    inputs = [each for each in job.inputs if isinstance(each, MixedInput)]
    return tuple(part for each in inputs for part in each.parts if isinstance(part, BlobPart))


def with_images(job: Job, store: BlobStore) -> Job:
    """The job as if its images had come with it. Raises BlobGone, RedisError."""
    if not isinstance(job, EmbedJob):
        return job
    return replace(
        job, inputs=tuple(_read(each, store) if isinstance(each, MixedInput) else each for each in job.inputs)
    )


def _read(value: MixedInput, store: BlobStore) -> MixedInput:
    return MixedInput(tuple(_image(part, store) for part in value.parts))


def _image(part: TextPart | ImagePart | BlobPart, store: BlobStore) -> TextPart | ImagePart:
    return ImagePart(store.read(part)) if isinstance(part, BlobPart) else part
