import random

import pytest

from jobs.embed import EmbedResult
from jobs.errors import UnreadableResult
from jobs.generate import Choice, GenerateResult, Piece, Pieces
from jobs.job import Result
from jobs.rerank import RerankResult
from jobs.results.encoding import (
    ResultFile,
    ResultParts,
    decode_beside,
    decode_stored,
    encode_beside,
    encode_stored,
    parts_of,
)
from jobs.store import record
from jobs.store.serializer import MsgpackSerializer

RESULTS: list[Result] = [
    EmbedResult(dimensions=2, vectors=random.Random(1).randbytes(8), tokens=(3,)),
    RerankResult(scores=bytes(4), tokens=(5,)),
    GenerateResult(choices=(Choice("a text " * 1000, "stop", 3),), prompt_tokens=9),
]


@pytest.mark.parametrize("result", [*RESULTS, ResultParts("a key", 3), ResultFile("a.name")])
def test_what_is_stored_comes_back_as_it_was(result: Result | ResultParts | ResultFile):
    assert decode_stored(encode_stored(result)) == result


@pytest.mark.parametrize("result", RESULTS)
def test_a_result_that_lies_beside_comes_back_as_it_was(result: Result):
    assert decode_beside(encode_beside(record.pack(result))) == result


def test_texts_that_lie_beside_are_compressed_and_vectors_are_not():
    vectors, _, texts = (record.pack(each) for each in RESULTS)
    assert encode_beside(vectors) == vectors
    assert len(encode_beside(texts)) < len(texts) / 10


def test_parts_are_at_most_what_every_redis_takes_and_make_the_whole():
    data = random.Random(1).randbytes(2 * record.PART_BYTES + 7)
    parts = list(parts_of(data))
    assert [len(part) for part in parts] == [1 << 20, 1 << 20, 7]
    assert b"".join(parts) == data


@pytest.mark.parametrize("read", [decode_stored, decode_beside])
@pytest.mark.parametrize("data", [b"", b"\x81", b"nonsense!", record.pack({"type": "of_later_versions"})])
def test_what_is_no_result_is_unreadable(read, data: bytes):
    with pytest.raises(UnreadableResult):
        read(data)


def test_a_result_that_was_cut_short_is_unreadable():
    with pytest.raises(UnreadableResult):
        decode_beside(encode_beside(record.pack(RESULTS[2]))[:-5])


def test_what_has_its_default_takes_no_room_in_a_result_and_events_are_as_they_were():
    assert set(MsgpackSerializer.loads(record.pack(RESULTS[0]))) == {
        "type",
        "dimensions",
        "vectors",
        "tokens",
    }
    assert MsgpackSerializer.loads(record.pack(Pieces(1, 2, (Piece(),))))[2][0][1] == ""
