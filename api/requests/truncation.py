"""Whether what is too long is cut, as vLLM's clients and others say it."""

from typing import Any

from jobs.errors import InvalidInput

_WHOLE_CONTEXT = -1


def truncates(truncate_prompt_tokens: int | None, otherwise: bool) -> bool:
    """otherwise: what is said by another name. Raises InvalidInput for a number of tokens: a text is cut at the model's
    own limit.
    """
    if truncate_prompt_tokens not in (None, _WHOLE_CONTEXT):
        raise InvalidInput(
            "truncate_prompt_tokens: a text is cut at the model's own limit only, with -1.",
            param="truncate_prompt_tokens",
        )
    return otherwise or truncate_prompt_tokens is not None


def refuse_truncation(truncate_prompt_tokens: Any) -> None:
    """Raises InvalidInput where a prompt is to be cut, which would answer something else than was asked."""
    if truncate_prompt_tokens is not None:
        raise InvalidInput(
            "truncate_prompt_tokens: a prompt that is too long is an error, and never cut. Shorten it.",
            param="truncate_prompt_tokens",
        )
