"""Queries are embedded by the model that made the collection's vectors."""

import numpy as np
import pytest
from msgspec.structs import replace

from ingest.collections.fingerprint import Fingerprint
from ingest.queries.embedding import QueryEmbedder, serving
from jobs.content import ImagePart, MixedInput
from jobs.embed import EmbedJob
from jobs.errors import InvalidInput, NoWorker, ResultTimeout
from jobs.job import Lane
from jobs.settings import Settings
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.vectors.word_queue import PAGE_MODEL, RERANKER, TEXT_MODEL, WordQueue, text_vector

WORDS = Fingerprint(TEXT_MODEL.id, TEXT_MODEL.digest)


async def test_a_query_is_a_job_for_the_makers_model_and_says_that_it_is_a_query():
    queue = WordQueue()
    [row] = await QueryEmbedder(queue, Settings()).embed(WORDS, "red fox")
    assert np.array_equal(row, text_vector("red fox"))
    assert queue.done == [EmbedJob(TEXT_MODEL.id, ("red fox",), input_type="query")]


async def test_the_job_goes_before_others_and_is_kept_no_longer_than_a_request():
    queue = MemoryQueue()
    await QueryEmbedder(queue, Settings(wait_s=7)).embed(Fingerprint(MODEL.id), "fox")
    [(_, options)] = queue.submitted
    assert (options.lane, options.ttl_s, options.awaited) == (Lane.INTERACTIVE, 7, True)


async def test_a_query_that_is_not_waited_for_any_more_is_canceled():
    queue = MemoryQueue(held=True)
    with pytest.raises(ResultTimeout):
        await QueryEmbedder(queue, Settings(wait_s=0.01)).embed(Fingerprint(MODEL.id), "fox")
    assert len(queue.canceled) == 1


async def test_the_same_query_is_embedded_once():
    queue = WordQueue()
    embedder = QueryEmbedder(queue, Settings())
    for text in ("fox", "fox", "dog"):
        await embedder.embed(WORDS, text)
    assert len(queue.done) == 2


def test_a_model_is_known_by_its_digest_whatever_it_is_called():
    renamed = replace(TEXT_MODEL, id="other-name")
    assert serving(WORDS, [PAGE_MODEL, renamed]) == renamed


def test_a_collection_whose_maker_had_no_digest_goes_by_the_name():
    assert serving(Fingerprint(TEXT_MODEL.id), [TEXT_MODEL]) == TEXT_MODEL


def test_where_no_worker_serves_the_maker_the_error_says_what_to_start():
    with pytest.raises(NoWorker, match="mlxq up --model words"):
        serving(WORDS, [PAGE_MODEL, RERANKER])


def test_other_files_under_the_makers_name_are_not_taken_for_it():
    with pytest.raises(NoWorker, match="other files"):
        serving(WORDS, [replace(TEXT_MODEL, digest="w2")])


async def test_an_image_is_refused_by_a_model_of_texts():
    image = MixedInput((ImagePart(b"png"),))
    with pytest.raises(InvalidInput, match="reads no images"):
        await QueryEmbedder(WordQueue(), Settings()).embed(WORDS, image)
