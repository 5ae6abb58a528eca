"""What Ollama's clients are told of a model wherever it is named."""

import hashlib
from typing import Literal

import msgspec

from jobs.catalogue.defaults import ModelDefaults
from jobs.catalogue.names import with_tag
from jobs.models import ModelInfo

Capability = Literal["completion", "embedding", "tools", "vision", "thinking", "insert"]

_ABILITIES: dict[str, Capability] = {
    "tools": "tools",
    "vision": "vision",
    "reasoning": "thinking",
    "insert": "insert",
}
"""The abilities of a generator by mlxq's names, and by Ollama's."""

_SCALES = ((10**9, "B", 1), (10**6, "M", 2), (10**3, "K", 0))
"""Of counts: how Ollama shortens them, and digits behind the point."""


class OllamaDetails(msgspec.Struct, frozen=True, kw_only=True):
    """format: Ollama's word for such files. quantization_level: mlxq's words, 4bit, mxfp4, BF16, …

    parent_model: what the model was made from. What is not known is left empty, or out.
    """

    parent_model: str = ""
    format: Literal["safetensors"] = "safetensors"
    family: str = ""
    families: tuple[str, ...] = ()
    parameter_size: str = ""
    quantization_level: str = ""
    context_length: int | msgspec.UnsetType = msgspec.UNSET
    embedding_length: int | msgspec.UnsetType = msgspec.UNSET


def details_of(info: ModelInfo) -> OllamaDetails:
    """embedding_length: of its vectors, so an embedder's alone."""
    return OllamaDetails(
        parent_model=with_tag(info.of) if info.of else "",
        family=info.family,
        families=(info.family,) if info.family else (),
        parameter_size=short_count(info.parameters) if info.parameters else "",
        quantization_level=info.quantisation,
        context_length=info.max_tokens or msgspec.UNSET,
        embedding_length=info.dimensions or msgspec.UNSET,
    )


def digest_of(info: ModelInfo) -> str:
    """Of 64 characters, as Ollama's clients expect it, and equal for copies of one model: those with the same defaults.
    It is never empty: where the model's own is not known, it is that of its name.
    """
    found = hashlib.sha256((info.digest or info.root).encode())
    if info.defaults != ModelDefaults():
        found.update(msgspec.msgpack.encode(info.defaults, order="sorted"))
    return found.hexdigest()


def capabilities_of(info: ModelInfo) -> list[Capability]:
    """Empty for a reranker: Ollama has no word for it."""
    if info.task == "embed":
        return ["embedding", "vision"] if "vision" in info.abilities else ["embedding"]
    if info.task != "generate":
        return []
    return ["completion", *(word for ability, word in _ABILITIES.items() if ability in info.abilities)]


def short_count(count: int) -> str:
    """As Ollama writes it: 135M, 22.71M, 7.6B."""
    for scale, letter, digits in _SCALES:
        if count >= scale:
            return f"{count / scale:.{0 if count % scale == 0 else digits}f}{letter}"
    return str(count)
