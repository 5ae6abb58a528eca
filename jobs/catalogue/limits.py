"""How much a catalogue holds: machines tell all of it to Redis every few seconds."""

import msgspec

from jobs.catalogue.defaults import ModelDefaults
from jobs.catalogue.entry import Catalogue
from jobs.errors import InvalidInput

MAX_ENTRIES = 1000
MAX_TEXT_BYTES = 256 * 1024
"""Of a system message, a template, a licence; of all messages, and of all parameters."""


def check_texts(defaults: ModelDefaults, template: str, license: str) -> None:
    """Raises InvalidInput where a text of an alias is too long."""
    texts = {
        "system": defaults.system.encode(errors="replace"),
        "template": template.encode(errors="replace"),
        "license": license.encode(errors="replace"),
        "messages": msgspec.json.encode(defaults.messages),
        "parameters": msgspec.json.encode(defaults.parameters),
    }
    for word, text in texts.items():
        if len(text) > MAX_TEXT_BYTES:
            raise InvalidInput(
                f"{word}: {len(text)} bytes; at most {MAX_TEXT_BYTES} (256 KB) are kept for an alias.",
                param=word,
            )


def is_full(catalogue: Catalogue) -> bool:
    """Whether it takes no further entry."""
    return len(catalogue.entries) >= MAX_ENTRIES
