"""Which files of a repository make the model. Pure.

Weights as safetensors alone: other formats hold the same ones again, or run code when they are read. No program is ever
among them, unless the settings trust the repository by name.
"""

import re
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath

INDEX = "model.safetensors.index.json"
MODULES = "modules.json"
FIRST = (MODULES, INDEX)
"""The small files that say which others there are. They are read before the rest is chosen."""

TEXTS = frozenset({".json", ".jinja", ".txt", ".model", ".tiktoken", ".md"})
"""Configs, chat templates, tokenizers, and what is written about the model."""
NAMES_WITHOUT_SUFFIX = re.compile(r"(LICEN[CS]E|NOTICE|USE_POLICY|README)([-_.].*)?", re.IGNORECASE)
_MODULE = re.compile(r"\d+_\w+")
"""How sentence-transformers calls the folders of its modules."""
_TEMPLATES = "additional_chat_templates"
_VARIANT = re.compile(r"model\.[^.]+\.safetensors")
"""model.fp16.safetensors: the weights of model.safetensors once more."""
_OTHER_LAYOUT = re.compile(r"consolidated.*\.safetensors")
"""The same weights under their authors' own names."""


def wanted_files(
    paths: Collection[str],
    shards: Collection[str] | None,
    modules: Collection[str],
    *,
    programs: bool = False,
) -> list[str]:
    """What to download, in the order of `paths`.

    shards: what the index names; None where there is none. modules: the folders that modules.json names.
    programs: also *.py.
    """
    folders = {folder.strip("/") for folder in modules if folder.strip("/")}
    root_weights = {path for path in paths if "/" not in path and path.endswith(".safetensors")}
    weights = set(shards) if shards is not None else _plain_weights(root_weights)

    def is_wanted(path: str) -> bool:
        file = PurePosixPath(path)
        if file.suffix == ".py":
            return programs
        if file.suffix == ".safetensors":
            return path in weights or (path not in root_weights and _is_of_a_module(file, folders))
        if file.suffix in TEXTS or NAMES_WITHOUT_SUFFIX.fullmatch(file.name):
            return len(file.parts) == 1 or _is_of_a_module(file, folders) or file.parts[0] == _TEMPLATES
        return False

    return [path for path in paths if is_wanted(path)]


def _plain_weights(names: Iterable[str]) -> set[str]:
    found = {name for name in names if not _OTHER_LAYOUT.fullmatch(name)}
    if "model.safetensors" in found:
        found = {name for name in found if not _VARIANT.fullmatch(name)}
    return found


def _is_of_a_module(file: PurePosixPath, folders: Collection[str]) -> bool:
    parents = [str(parent) for parent in file.parents if str(parent) != "."]
    return any(parent in folders or _MODULE.fullmatch(parent) for parent in parents)
