"""What requests to a model have where they say nothing themselves."""

from typing import Literal

import msgspec

Parameter = bool | int | float | str | tuple[str, ...]
"""A value of PARAMETER in a Modelfile. Several texts: of "stop", which may be given more than once."""


class PresetMessage(msgspec.Struct, frozen=True):
    """A turn that stands before every chat with the model."""

    role: Literal["system", "user", "assistant"]
    content: str


class ModelDefaults(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of an alias. All else is as the request's dialect has it."""

    system: str = ""
    """The system message of chats that have none."""
    parameters: dict[str, Parameter] = {}
    """By Ollama's words: temperature, num_predict, stop, …"""
    messages: tuple[PresetMessage, ...] = ()
