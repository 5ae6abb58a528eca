"""Whether what is too long is cut, as vLLM's clients and others say it."""

from api.requests.parameters import Refused
from jobs.errors import InvalidInput

_WHOLE_CONTEXT = -1

NEVER_CUT = Refused("a prompt that is too long is an error, and never cut. Shorten it.", unless=(None,))
"""Of a prompt: cutting it would answer something else than was asked."""


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
