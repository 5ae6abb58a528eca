"""Fields of vLLM's bodies that are not built: refused by name, for an answer without them would be another one."""

from collections.abc import Sequence

import msgspec

from jobs.errors import InvalidInput

_WHY = {
    "chat_template": "a request's own chat template is not run; the model's is used",
    "media_io_kwargs": "how images are read cannot be chosen",
    "mm_processor_kwargs": "the model's own image processor is used as it is",
}


def refuse_set(asked: msgspec.Struct, fields: Sequence[str]) -> None:
    """Raises InvalidInput for the first of the fields that says anything: null, false and what is empty say nothing."""
    for field in fields:
        if getattr(asked, field) not in (None, False, "", (), [], {}):
            raise InvalidInput(f"{field} is not supported: {_WHY[field]}. Leave it out.", param=field)
