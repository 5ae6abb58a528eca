"""A digest of what makes a model: two folders of the same model have the same, whatever they are called."""

import hashlib
import json
from pathlib import Path

from workers.models.resolve import LocalModel
from workers.models.tensors import tensors_in

DIGEST_BYTES = 16

_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.json",
    "chat_template.jinja",
    "preprocessor_config.json",
    "processor_config.json",
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "adapter_config.json",
)
"""What decides, beside the weights, what a model makes of an input."""

_MODULE_FILES = "[0-9]*_*/config.json"
"""Of sentence-transformers' modules: pooling, dense layers, scores."""

_OF_NO_MATTER = ("_name_or_path", "transformers_version")
"""In config.json: where it came from, and what wrote it."""

_SAMPLES = 16
_SAMPLE_BYTES = 64


def digest_of(model: LocalModel) -> str:
    """Of the config, the tokenizer, and each tensor's name, type and shape. Of the weights a few bytes are read, which
    tells a fine-tuned model from its base and takes milliseconds whatever the model's size. A draft does not count: it
    changes no answer. Raises OSError, and ValueError for weights that are no safetensors files.
    """
    found = hashlib.blake2b(digest_size=DIGEST_BYTES)
    found.update(repr(model.task).encode())
    for folder in (model.folder, model.adapter):
        if folder is None:
            continue
        files = [folder / name for name in _FILES] + sorted(folder.glob(_MODULE_FILES))
        for file in files:
            if file.is_file():
                _add(found, str(file.relative_to(folder)), _content(file))
        _add_weights(found, folder)
    return found.hexdigest()


def _add(found: "hashlib.blake2b", name: str, content: bytes) -> None:
    found.update(f"{name} {len(content)}\n".encode())
    found.update(content)


def _content(file: Path) -> bytes:
    content = file.read_bytes()
    if file.name != "config.json":
        return content
    try:
        config = json.loads(content)
    except ValueError:
        return content  # opening the model says what is wrong
    if isinstance(config, dict):
        config = {key: value for key, value in config.items() if key not in _OF_NO_MATTER}  # pyright: ignore
    return json.dumps(config, sort_keys=True).encode()


def _add_weights(found: "hashlib.blake2b", folder: Path) -> None:
    """By tensor, not by file: the same weights may be cut into files in several ways."""
    tensors = tensors_in(folder)
    names = sorted(tensors)
    for name in names:
        _add(found, name, f"{tensors[name].dtype} {list(tensors[name].shape)}".encode())
    for name in names[:: max(1, len(names) // _SAMPLES)]:
        _, _, file, at, size_bytes = tensors[name]
        with file.open("rb") as opened:
            opened.seek(at + size_bytes // 2)
            found.update(opened.read(min(_SAMPLE_BYTES, size_bytes - size_bytes // 2)))
