"""Vectors on their way in and out: checked against what their collection declares."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import qdrant_edge as edge
from qdrant_client import models

from ingest.store.refused import BAD_REQUEST, UNPROCESSABLE, Refused, not_here

MAX_FLOATS = 1 << 20
"""Rows times dimension of a multi-vector stay below this, as on a Qdrant server (8,191 rows of 128), so that a
collection can move there.
"""

Array = np.ndarray[Any, np.dtype[Any]]
Numbers = memoryview | list[memoryview]
"""A dense vector, or the rows of a multi-vector, in float32."""

EdgeVector = Array | Numbers | edge.SparseVector


class VectorCheck:
    """What one collection takes under each of its vectors' names. The unnamed vector is called ''."""

    def __init__(self, dense: Mapping[str, models.VectorParams], sparse: frozenset[str]) -> None:
        self._dense = dense
        self._sparse = sparse

    def point(self, given: Any) -> dict[str, EdgeVector]:
        """A point's vectors: a list, rows of lists, a sparse vector or an array for the unnamed one, or a dict of these
        by name. Raises Refused.
        """
        named = cast("Mapping[str, Any]", given) if isinstance(given, Mapping) else {"": given}
        checked = {name: self.one(name, each) for name, each in named.items()}
        return {
            name: numbers(each) if isinstance(each, np.ndarray) else each for name, each in checked.items()
        }

    def query(self, name: str | None, given: Any) -> EdgeVector:
        """The vector of a search. Raises Refused."""
        return self.one(name or "", given, is_query=True)

    def one(self, name: str, given: Any, *, is_query: bool = False) -> EdgeVector:
        """A vector under its name, as qdrant-edge takes it. Dense ones are arrays of (dimension,) or, of a
        multi-vector, (rows, dimension); for a query of a multi-vector one row will do. Raises Refused.
        """
        if isinstance(given, models.SparseVector):
            return self._sparse_vector(name, given)
        if isinstance(given, models.Document | models.Image | models.InferenceObject):
            raise not_here("models of its own: send vectors, such as those of POST /v1/embeddings")
        params = self._dense.get(name)
        if params is None:
            raise self._unknown(name)
        array = _as_array(name, given)
        if params.multivector_config and array.ndim == 1 and is_query:
            array = array[None]
        wanted = 2 if params.multivector_config else 1
        if array.ndim != wanted:
            kind = "rows of numbers (a multi-vector)" if wanted == 2 else "one list of numbers"
            raise Refused(BAD_REQUEST, f"Wrong input: the vector {name!r} must be {kind}.")
        if array.shape[-1] != params.size or not array.size:
            raise Refused(
                BAD_REQUEST,
                f"Wrong input: Vector dimension error: expected dim: {params.size}, got {array.shape[-1]} ({name!r}).",
            )
        if array.size >= MAX_FLOATS:
            raise Refused(
                UNPROCESSABLE,
                f"The multi-vector {name!r} has {array.shape[0]} rows of {params.size}: rows times dimension must be "
                f"below {MAX_FLOATS}. Make fewer rows: a smaller image, or pooled ones.",
            )
        if not np.isfinite(array).all():
            raise Refused(BAD_REQUEST, f"Wrong input: the vector {name!r} holds NaN or infinite numbers.")
        return array

    def _sparse_vector(self, name: str, given: models.SparseVector) -> edge.SparseVector:
        if name not in self._sparse:
            raise self._unknown(name)
        if len(given.indices) != len(given.values):
            raise Refused(
                UNPROCESSABLE,
                f"The sparse vector {name!r} has {len(given.indices)} indices and {len(given.values)} values: "
                "there must be as many.",
            )
        if len(set(given.indices)) != len(given.indices):
            raise Refused(UNPROCESSABLE, f"The sparse vector {name!r} has an index twice.")
        if not np.isfinite(given.values).all():
            raise Refused(BAD_REQUEST, f"Wrong input: the vector {name!r} holds NaN or infinite numbers.")
        return edge.SparseVector(given.indices, given.values)

    def _unknown(self, name: str) -> Refused:
        there = ", ".join(repr(each) for each in [*self._dense, *sorted(self._sparse)]) or "none"
        return Refused(
            BAD_REQUEST, f"Wrong input: Not existing vector name error: {name!r}. There is: {there}."
        )


def numbers(array: Array) -> Numbers:
    """qdrant-edge takes numbers out one by one. Of an array it makes an object of numpy for each: 3.6 ms a page of 736
    rows of 128, where views of the memory take 1.2.
    """
    flat = np.ascontiguousarray(array, np.float32).reshape(-1).data
    if array.ndim == 1:
        return flat
    width = array.shape[1]
    return [flat[start : start + width] for start in range(0, len(flat), width)]


def _as_array(name: str, given: Any) -> Array:
    if isinstance(given, np.ndarray):
        return cast("Array", given)
    try:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as that
            return np.asarray(given, dtype=np.float32)
    except (ValueError, TypeError):
        raise Refused(BAD_REQUEST, f"Wrong input: the rows of {name!r} are not equally long.") from None


def plain(vector: Any) -> Any:
    """A vector, or several by name, as JSON has it."""
    if isinstance(vector, dict):
        return {name: plain(each) for name, each in cast("dict[str, Any]", vector).items()}
    if isinstance(vector, edge.SparseVector):
        return {"indices": list(vector.indices), "values": list(vector.values)}
    return vector.tolist() if isinstance(vector, np.ndarray) else vector
