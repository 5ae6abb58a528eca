"""What makes two requests the same one, also for processes of two versions."""

import msgspec
import pytest

from jobs.client.fingerprint import fingerprint
from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import EmbedJob
from jobs.generate import Chat, GenerateJob, Message, Prompt, Sampling
from jobs.rerank import RerankJob

JOB = EmbedJob(model="m", inputs=("a text", (1, 2, 3)), dimensions=64)


def test_equal_requests_have_equal_fingerprints_and_others_do_not():
    assert fingerprint(JOB) == fingerprint(msgspec.structs.replace(JOB))
    others = [
        msgspec.structs.replace(JOB, dimensions=65),
        msgspec.structs.replace(JOB, model="n"),
        msgspec.structs.replace(JOB, inputs=("a text", (1, 2, 4))),
        msgspec.structs.replace(JOB, inputs=("a text",)),
        msgspec.structs.replace(JOB, truncate="end"),
        EmbedJob(model="m", inputs=(MixedInput((TextPart("a"),)),)),
        EmbedJob(model="m", inputs=(MixedInput((ImagePart(b"a"),)),)),
        RerankJob(model="m", query="a", documents=("b",)),
        RerankJob(model="m", query="b", documents=("a",)),
        GenerateJob(model="m", prompt=Prompt("a")),
        GenerateJob(model="m", prompt=Chat((Message("user", (TextPart("a"),)),))),
        GenerateJob(model="m", prompt=Prompt("a"), sampling=Sampling(seed=1)),
        GenerateJob(model="m", prompt=Prompt("a"), sampling=Sampling(logit_bias={1: 2.0})),
    ]
    assert len({fingerprint(job) for job in [JOB, *others]}) == 1 + len(others)


def test_the_order_of_a_mapping_makes_no_difference():
    first, second = (
        GenerateJob(model="m", prompt=Prompt("a"), sampling=Sampling(logit_bias=bias))
        for bias in ({1: 2.0, 3: 4.0}, {3: 4.0, 1: 2.0})
    )
    assert fingerprint(first) == fingerprint(second)


class NextSampling(Sampling, frozen=True):
    """Of the next version: it has one more field, with a default."""

    top_a: float = 0.5


class NextJob(GenerateJob, frozen=True, tag="generate", tag_field="task"):
    """Of the next version, as well."""

    attempts: dict[str, int] = {}
    deadline_s: float | None = None


@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_a_field_with_a_default_that_a_version_adds_changes_no_fingerprint(temperature: float):
    now = GenerateJob(model="m", prompt=Prompt("a"), n=2, sampling=Sampling(temperature=temperature))
    later = NextJob(model="m", prompt=Prompt("a"), n=2, sampling=NextSampling(temperature=temperature))
    assert fingerprint(now) == fingerprint(later)


def test_such_a_field_counts_once_it_is_set():
    later = NextJob(model="m", prompt=Prompt("a"))
    for other in (
        NextJob(model="m", prompt=Prompt("a"), deadline_s=1.0),
        NextJob(model="m", prompt=Prompt("a"), attempts={"a": 1}),
        NextJob(model="m", prompt=Prompt("a"), sampling=NextSampling(top_a=0.0)),
    ):
        assert fingerprint(other) != fingerprint(later)
