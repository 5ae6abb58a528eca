"""Names of models as Ollama has them: NAME:TAG, where the tag "latest" need not be said."""

import re

LATEST = ":latest"
MAX_CHARACTERS = 200

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"
_NAME = re.compile(rf"{_PART}(?:/{_PART}){{0,2}}(?::{_PART})?")


def without_latest(name: str) -> str:
    """The name as the catalogue keeps it: "llama:latest" and "llama:LATEST" are "llama"; any other tag stays."""
    return name[: -len(LATEST)] if name.casefold().endswith(LATEST) else name


def with_tag(name: str) -> str:
    """The name as Ollama's clients list it: "llama" is "llama:latest"; a name with a tag stays."""
    return name if ":" in name.rpartition("/")[2] else name + LATEST


def checked_name(name: str) -> str:
    """A new name, as the catalogue keeps it. Raises ValueError, which says what a name may be."""
    kept = without_latest(name)
    if len(kept) > MAX_CHARACTERS or not _NAME.fullmatch(kept):
        raise ValueError(
            f"{name[:MAX_CHARACTERS]!r} is no name for a model: give NAME, NAME:TAG or ORGANISATION/NAME of letters, "
            f"digits and the signs . _ + -, {MAX_CHARACTERS} characters at most."
        )
    return kept
