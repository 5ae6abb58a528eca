"""The tokens of texts, and the texts of tokens, as results have them."""

from array import array

from jobs.errors import InternalError
from jobs.job import Result
from jobs.tokenize import DetokenizeResult, TokenizedText, TokenizeResult


def tokenized_texts(result: Result) -> tuple[TokenizedText, ...]:
    """Raises InternalError for another result."""
    if not isinstance(result, TokenizeResult):
        raise InternalError
    return result.texts


def texts_of(result: Result) -> tuple[str, ...]:
    """Raises InternalError for another result."""
    if not isinstance(result, DetokenizeResult):
        raise InternalError
    return result.texts


def ids_of(text: TokenizedText) -> list[int]:
    """Its token ids."""
    found = array("I")
    found.frombytes(text.ids)
    return found.tolist()
