"""A model's own parameters, where a request leaves them out. They come from a Modelfile, in Ollama's words."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from api.work.ollama_ranges import NUMBERS, has_penalties, nearest_number
from api.work.queue import Queue
from jobs.catalogue.defaults import Parameter
from jobs.errors import InvalidInput, JobError, QueueUnavailable

R = TypeVar("R", bound=msgspec.Struct)

OPENAI = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "seed": "seed",
    "stop": "stop",
    "num_predict": "max_tokens",
    "repeat_penalty": "repetition_penalty",
    "repeat_last_n": "repetition_context_size",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
"""Ollama's words, and the fields of OpenAI's bodies."""

ANTHROPIC = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "stop": "stop_sequences",
}

COHERE = {
    "temperature": "temperature",
    "top_p": "p",
    "top_k": "k",
    "seed": "seed",
    "stop": "stop_sequences",
    "num_predict": "max_tokens",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}


async def with_defaults(asked: R, queue: Queue, words: Mapping[str, str]) -> R:
    """The request, with the model's parameters in the fields that it leaves out. words: the dialect's.

    Raises QueueUnavailable, and InvalidInput for a parameter of the model that is of another type. What is wrong with
    the model's name is said when the job is submitted.
    """
    parameters = await parameters_of(getattr(asked, "model"), queue)  # noqa: B009 - a field of each of them
    last_n = parameters.get("repeat_last_n")
    if last_n is not None and not has_penalties(last_n):
        for word in ("repeat_penalty", "presence_penalty", "frequency_penalty"):
            parameters.pop(word, None)
    elif last_n is not None:  # -1 is all of them, as 0 is in the other dialects
        parameters["repeat_last_n"] = max(0, last_n)
    if parameters.get("repeat_penalty") == 0:
        del parameters["repeat_penalty"]
    fields = {words[word]: value for word, value in parameters.items() if word in words}
    if "max_tokens" in fields and getattr(asked, "max_completion_tokens", None) is not None:
        del fields["max_tokens"]
    return filled(asked, fields)


async def parameters_of(model: str, queue: Queue) -> dict[str, Any]:
    """A generator's parameters, in Ollama's words: numbers as /api/chat takes them, stop as several texts.

    Raises QueueUnavailable, and InvalidInput for one that is of another type.
    """
    try:
        found = (await queue.model(model, "generate")).defaults.parameters
    except QueueUnavailable:
        raise
    except JobError:
        return {}
    parameters = {word: _usable(model, word, value) for word, value in found.items()}
    if parameters.get("num_predict", 1) <= 0:  # no limit, as without it
        del parameters["num_predict"]
    if parameters.get("seed", 0) < 0:
        del parameters["seed"]
    return parameters


def _usable(model: str, word: str, value: Parameter) -> Any:
    """What a catalogue says may be older than this mlxq, or edited by somebody."""
    try:
        if word in NUMBERS:
            return nearest_number(word, msgspec.convert(value, int | float))
        if word == "stop":
            return (value,) if isinstance(value, str) else msgspec.convert(value, tuple[str, ...])
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"The model {model} has a parameter {word} that cannot be used ({error}): create it again.",
            param="model",
        ) from error
    return value


def filled(asked: R, fields: Mapping[str, Any]) -> R:
    """With values for those fields that are null, or were left out."""
    missing = {name: value for name, value in fields.items() if getattr(asked, name) is None}
    return msgspec.structs.replace(asked, **missing) if missing else asked
