"""What a model's files say of it that no request needs: for lists and descriptions of models."""

import msgspec

Value = bool | int | float | str


class ModelDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is too long to be read with every list of models. Empty: the files do not say it."""

    template: str = ""
    """Of chats, in Jinja."""
    license: str = ""
    """Its text, or its name."""
    architecture: str = ""
    """The class that its config names, such as Qwen3ForCausalLM."""
    config: dict[str, Value] = {}
    """Sizes of the network by GGUF's words without their prefix: block_count, attention.head_count, …"""
    adapter: str = ""
    """The name of the adapter's folder."""
    draft: str = ""
    """The name of the draft's folder."""
