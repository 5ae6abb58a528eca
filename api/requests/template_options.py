"""Further variables of a model's chat template, such as enable_thinking."""

from collections.abc import Mapping

from api.requests.tools import object_text
from jobs.errors import InvalidInput

# Variables that the renderer sets, and those that would make it render something else than the messages.
_RESERVED = frozenset(
    {
        "add_generation_prompt", "chat_template", "continue_final_message", "conversation", "max_length", "messages",
        "padding", "return_assistant_tokens_mask", "return_dict", "return_tensors", "tokenize",
        "tokenizer_kwargs", "tools", "truncation",
    }
)  # fmt: skip


def template_options(given: Mapping[str, object] | None, field: str, **shorthands: object) -> str:
    """A JSON object, as text. shorthands: variables that have a field of their own; None where it was not given.

    Raises InvalidInput, naming the field, for a variable that a caller must not set.
    """
    taken = sorted(_RESERVED & set(given or ()))
    if taken:
        raise InvalidInput(f"{field}: {', '.join(taken)} cannot be set.", param=field)
    given_shorthands = {name: value for name, value in shorthands.items() if value is not None}
    options = {**(given or {}), **given_shorthands}
    return object_text(options, field) if options else "{}"
