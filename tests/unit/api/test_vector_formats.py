"""Vectors of a result, as replies write them."""

from array import array

import pytest

from api.replies.vector_formats import one_vector_each, write_each
from jobs.embed import EmbedResult
from jobs.errors import InternalError

FLOATS = array("f", [1, 2, 3, 4, 5, 6]).tobytes()


async def test_each_vector_is_written_in_the_inputs_order():
    result = one_vector_each(EmbedResult(dimensions=2, vectors=FLOATS, tokens=(1, 1, 1)))

    assert await write_each(result, lambda vector: vector.tolist()) == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    "result",
    [
        EmbedResult(dimensions=2, vectors=FLOATS[:-1], tokens=(1, 1, 1)),
        EmbedResult(dimensions=2, vectors=FLOATS, tokens=(1, 1)),
        EmbedResult(dimensions=2, vectors=FLOATS, tokens=(1, 1), counts=(2, 1)),
    ],
)
def test_a_result_with_other_vectors_than_one_for_each_input_is_an_internal_error(result: EmbedResult):
    with pytest.raises(InternalError):
        one_vector_each(result)
