"""What the files of a model's folder say, whatever the model is for."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from jobs.errors import InvalidInput
from workers.families import family_of


class Module(NamedTuple):
    """A module of sentence-transformers."""

    kind: str
    """Its class."""
    folder: Path
    """Where its files are."""


def read_json(path: Path) -> dict[str, Any]:
    """The file's object, {} where there is no file. Raises InvalidInput for what is not JSON."""
    return _read(path) if path.is_file() else {}


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that the index names or, without one, all. Raises InvalidInput for an index that is not
    JSON.
    """
    index = read_json(folder / "model.safetensors.index.json")
    if index:
        return [folder / shard for shard in sorted(set((index.get("weight_map") or {}).values()))]
    return sorted(folder.glob("*.safetensors"))


def modules_of(folder: Path) -> list[Module]:
    """What modules.json lists, in order; [] where there is none. Raises InvalidInput."""
    path = folder / "modules.json"
    if not path.is_file():
        return []
    try:
        return [
            Module(str(each["type"]).rsplit(".", 1)[-1], folder / str(each["path"])) for each in _read(path)
        ]
    except (KeyError, TypeError) as error:
        raise InvalidInput(
            f"{path} is no list of modules with their types and paths.", param="model"
        ) from error


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInput(f"{path} is not valid JSON.", param="model") from error


def special_token(names: dict[str, Any], kind: str) -> str | None:
    """names: tokenizer_config.json, which has a token as a text, or as an object with more about it. kind: eos, …"""
    token = names.get(f"{kind}_token")
    return token.get("content") if isinstance(token, dict) else token


def no_weights(file: Path, error: Exception) -> InvalidInput:
    """For a file that should hold weights, and what was said when it was opened."""
    return InvalidInput(
        f"{file} cannot be read as a safetensors file ({error}). If the folder is a git clone, it may be a pointer to "
        "the weights: fetch them with `git lfs pull`. Otherwise download the model again.",
        param="model",
    )


def written_at(folder: Path) -> int:
    """When its config.json was written, in seconds since 1970: what ModelInfo has as `created`."""
    return int((folder / "config.json").stat().st_mtime)


def max_tokens_of(folder: Path, config: dict[str, Any], transformer: dict[str, Any]) -> int:
    """The least of what the positions, the tokenizer and the sentence-transformers file allow.

    config: config.json, of which max_position_embeddings counts. transformer: sentence_bert_config.json; {} where its
    max_seq_length is no limit of the model.
    """
    limits = [
        transformer.get("max_seq_length"),
        read_json(folder / "tokenizer_config.json").get("model_max_length"),
    ]
    positions = config.get("max_position_embeddings")
    family = family_of(config.get("model_type"))
    if positions and family and family.positions_after_padding:
        positions -= int(config.get("pad_token_id", 1)) + 1
    limits.append(positions)
    # A tokenizer without a limit says 1e30.
    sane = [int(limit) for limit in limits if limit and 0 < limit < 10_000_000]
    if not sane:
        raise InvalidInput(f"{folder}: no file says how many tokens the model reads.", param="model")
    return min(sane)
