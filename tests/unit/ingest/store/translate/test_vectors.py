import numpy as np
import pytest
import qdrant_edge as edge

from ingest.store.translate.vectors import Array, numbers

ROWS = np.arange(12, dtype=np.float32).reshape(3, 4) / 8


@pytest.mark.parametrize(
    "array",
    [
        ROWS,
        ROWS.astype("<f2"),
        ROWS.astype(">f4"),
        ROWS.astype(np.float64),
        np.asfortranarray(ROWS),
        np.repeat(ROWS, 2, axis=1)[:, ::2],
    ],
    ids=["float32", "float16", "big-endian", "float64", "by columns", "every other"],
)
def test_qdrant_edge_reads_the_numbers_of_any_array(array: Array):
    point = edge.Point(1, {"rows": numbers(array), "row": numbers(array[1])}, {})  # pyright: ignore[reportArgumentType]

    assert point.vector == {"rows": ROWS.tolist(), "row": ROWS[1].tolist()}
