"""Requests that the store does not answer as asked."""

from pydantic import BaseModel

BAD_REQUEST, NOT_FOUND, CONFLICT, UNPROCESSABLE, INTERNAL, NOT_HERE = 400, 404, 409, 422, 500, 501
"""The HTTP statuses that Qdrant uses; NOT_HERE for what a Qdrant server would do and this store does not."""


class Refused(Exception):
    """A request that is answered with an error. status: of HTTP. The message says what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def not_here(what: str) -> Refused:
    """The error for a part of Qdrant that the embedded store does not have."""
    return Refused(
        NOT_HERE, f"The embedded store does not have {what}. A Qdrant server does: set QDRANT_URL to one."
    )


def refuse_set(model: BaseModel, *fields: str) -> None:
    """Raises Refused where one of these fields is set: leaving it out silently would change the answer."""
    for field in fields:
        if getattr(model, field) is not None:
            raise not_here(f"the field `{field}`")
