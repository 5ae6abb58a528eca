"""One unit-length vector for each input: checked, cut to the size that was asked for, and as a result."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.embed import EmbedResult
from jobs.errors import InternalError, InvalidInput, JobError

Vector = NDArray[np.float32]

MAX_NORM_ERROR = 1e-3


class Sizes(NamedTuple):
    """Which dimensions a caller may ask for."""

    full: int
    """Of the model's own vectors."""
    least: int | None
    """Smallest Matryoshka cut; None where the model allows no cut."""
    cuts: tuple[int, ...]
    """The only cuts allowed, where the model lists them."""

    def check(self, dimensions: int | None) -> None:
        """Raises InvalidInput for a size that the model does not allow."""
        if dimensions is None or dimensions == self.full:
            return
        if self.least is None:
            raise InvalidInput(
                f"The model's vectors cannot be cut: leave `dimensions` out, or {self.full}.",
                param="dimensions",
            )
        if not self.least <= dimensions <= self.full or (self.cuts and dimensions not in self.cuts):
            listed = ", ".join(map(str, sorted({*self.cuts, self.full})))
            allowed = listed if self.cuts else f"{self.least} to {self.full}"
            raise InvalidInput(
                f"`dimensions` is {dimensions}; the model allows {allowed}.", param="dimensions"
            )


def checked(vectors: Vector) -> list[Vector | JobError]:
    """The rows of (items, dimensions), an error instead of each that is not of length 1."""
    norms = np.linalg.norm(vectors, axis=1)
    outcomes: list[Vector | JobError] = list(vectors)
    for index in np.flatnonzero(~(np.abs(norms - 1) <= MAX_NORM_ERROR)):  # NaN compares false
        outcomes[index] = InternalError(
            f"The model made a vector of length {norms[index]:.3g}; it must be 1."
        )
    return outcomes


def result_of(found: Sequence[Vector], dimensions: int | None, tokens: tuple[int, ...]) -> EmbedResult:
    """Cut to the dimensions and renormalised. Raises InternalError."""
    vectors = np.stack(found)
    if dimensions is not None and dimensions < vectors.shape[1]:
        vectors = vectors[:, :dimensions]
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not norms.all():
            raise InternalError("A vector is zero in its first dimensions.")
        vectors = vectors / norms
    return EmbedResult(
        dimensions=vectors.shape[1],
        vectors=np.ascontiguousarray(vectors, dtype="<f4").tobytes(),
        tokens=tokens,
    )
