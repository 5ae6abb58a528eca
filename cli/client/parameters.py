"""Ollama's parameters, from the words of a command line."""

from collections.abc import Sequence
from typing import Any

from cli.cannot_do import CannotDo

WHOLE = (
    "seed",
    "num_predict",
    "top_k",
    "repeat_last_n",
    "num_ctx",
    "num_keep",
    "num_batch",
    "num_gpu",
    "main_gpu",
    "num_thread",
)
FRACTION = (
    "temperature",
    "top_p",
    "min_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "typical_p",
)
TEXTS = ("stop",)
SWITCH = ("use_mmap",)


def parameter(name: str, words: Sequence[str]) -> Any:
    """The value as JSON has it. Raises ValueError, which says what is wrong."""
    if name in TEXTS:
        if not all(words):
            raise ValueError(f"{name} takes a text that is not empty")
        return list(words)
    if len(words) != 1:
        raise ValueError(f"{name} takes one value")
    [word] = words
    for names, kind, noun in ((WHOLE, int, "a whole number"), (FRACTION, float, "a number")):
        if name in names:
            try:
                value = kind(word)
            except ValueError:
                raise ValueError(f"{name} takes {noun}, not {word!r}") from None
            if not abs(value) < 2**63:
                raise ValueError(f"{name} takes {noun} of 64 bits, not {word!r}")
            return value
    if name in SWITCH:
        if word not in ("true", "false"):
            raise ValueError(f"{name} is true or false, not {word!r}")
        return word == "true"
    raise ValueError(f"there is no parameter {name!r}")


def parameters_of(given: Sequence[str]) -> dict[str, Any]:
    """Of --parameter NAME=VALUE, each time it was said; stop may be said again. Raises CannotDo."""
    found = dict[str, Any]()
    for each in given:
        name, equals, text = each.partition("=")
        if not equals:
            raise CannotDo(f"--parameter {each} is not of the form NAME=VALUE.")
        try:
            value = parameter(name, [text])
        except ValueError as error:
            raise CannotDo(f"--parameter {each}: {error}.") from error
        found[name] = [*found.get(name, ()), *value] if isinstance(value, list) else value
    return found
