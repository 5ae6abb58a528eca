"""How a sentence-transformers folder says its vectors are made: pooling, dense layers, prompts, limits, sizes."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jobs.embed import EmbedJob
from jobs.errors import InvalidInput
from workers.families import embedding_of
from workers.runners.checkpoint.folder import max_tokens_of, modules_of, read_json

logger = logging.getLogger(__name__)

POOLINGS = ("cls", "mean", "max", "lasttoken")
# What sentence-transformers called the modes before it had one `pooling_mode`.
LEGACY_POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}
# "Instruct: {task}\nQuery:{text}", from the model card of Qwen3-Embedding.
INSTRUCT = re.compile(r"^Instruct: .*(\nQuery: ?)$", re.DOTALL)
QWEN3_NAME = "qwen3-embedding"
QWEN3_QUERY_PROMPT = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
)


class Sizes(NamedTuple):
    """Which dimensions a caller may ask for."""

    full: int
    """Of the model's own vectors."""
    least: int | None
    """Smallest Matryoshka cut; None where the model allows no cut."""
    cuts: tuple[int, ...]
    """The only cuts allowed, where the model lists them."""

    def check(self, dimensions: int | None) -> None:
        """Raises InvalidInput for a size that the model does not allow."""
        if dimensions is None or dimensions == self.full:
            return
        if self.least is None:
            raise InvalidInput(
                f"The model's vectors cannot be cut: leave `dimensions` out, or {self.full}.",
                param="dimensions",
            )
        if not self.least <= dimensions <= self.full or (self.cuts and dimensions not in self.cuts):
            listed = ", ".join(map(str, sorted({*self.cuts, self.full})))
            allowed = listed if self.cuts else f"{self.least} to {self.full}"
            raise InvalidInput(
                f"`dimensions` is {dimensions}; the model allows {allowed}.", param="dimensions"
            )


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model makes a vector of a text."""

    pooling: str
    """One of POOLINGS."""
    dense: tuple[Path, ...]
    """Folders of the dense layers after pooling, in order."""
    prompts: dict[str, str]
    """What goes before a text, by the prompt's name."""
    default_prompt_name: str | None
    instruction_frame: tuple[str, str] | None
    """What goes before and after an instruction; None where the model takes none but its prompts."""
    max_tokens: int
    """Special tokens included."""
    lowercase: bool
    min_dimensions: int | None
    """Smallest Matryoshka cut; None where the model declares none."""
    cuts: tuple[int, ...]
    """The only cuts allowed, where the model lists them."""

    def prompt_of(self, job: EmbedJob) -> str:
        """The named prompt that a job without an instruction gets, "" for none. Raises InvalidInput."""
        if job.instruction is not None:
            raise InvalidInput("Give either `prompt_name` or `instruction`, not both.", param="instruction")
        name = self.default_prompt_name if job.prompt_name is None else job.prompt_name
        if job.prompt_name is None and job.input_type in self.prompts:
            name = job.input_type
        if name is not None and name not in self.prompts:
            known = ", ".join(self.prompts) or "none"
            raise InvalidInput(
                f"The model has no prompt {name!r}. Its prompts: {known}.", param="prompt_name"
            )
        return self.prompts[name] if name is not None else ""


def read_recipe(folder: Path, config: dict[str, Any]) -> Recipe:
    """Raises InvalidInput for a folder that asks for what is not supported: a wrong vector is worse than none."""
    sentence = read_json(folder / "config_sentence_transformers.json")
    transformer = read_json(folder / "sentence_bert_config.json")
    pooling, dense = _modules(folder, config)
    prompts = {str(name): str(text) for name, text in (sentence.get("prompts") or {}).items()}
    default = sentence.get("default_prompt_name")
    if default is not None and default not in prompts:
        raise InvalidInput(
            f"{folder}: default_prompt_name {default!r} is not among its prompts.", param="model"
        )
    min_dimensions, cuts = _matryoshka(folder, config, sentence)
    return Recipe(
        pooling=pooling,
        dense=dense,
        prompts=prompts,
        default_prompt_name=default,
        instruction_frame=_instruction_frame(config, prompts),
        max_tokens=max_tokens_of(folder, config, transformer),
        lowercase=bool(transformer.get("do_lower_case")),
        min_dimensions=min_dimensions,
        cuts=cuts,
    )


def _modules(folder: Path, config: dict[str, Any]) -> tuple[str, tuple[Path, ...]]:
    """The pooling mode and the dense layers. Only Transformer, Pooling, Dense…, Normalize can be run."""
    modules = modules_of(folder)
    if not modules:
        return _pooling(folder / "1_Pooling", config), ()
    kinds = " ".join(each.kind for each in modules)
    if not re.fullmatch(r"Transformer Pooling( Dense)*( Normalize)?", kinds):
        raise InvalidInput(
            f"{folder}: its modules.json asks for {kinds!r}. "
            "Supported: Transformer, Pooling, any number of Dense, Normalize, in this order.",
            param="model",
        )
    dense = tuple(each.folder for each in modules if each.kind == "Dense")
    return _pooling(modules[1].folder, config), dense


def _pooling(folder: Path, config: dict[str, Any]) -> str:
    pooling = read_json(folder / "config.json")
    if not pooling:
        own = embedding_of(config.get("model_type"))
        fallback = own.pooling if own else "mean"
        if own is None or not own.names_no_pooling:
            logger.warning(
                "model names no pooling, %s is used", fallback, extra={"folder": str(folder.parent)}
            )
        return fallback
    modes = [name for key, name in LEGACY_POOLINGS.items() if pooling.get(key)]
    named = pooling.get("pooling_mode") or modes or ["mean"]
    modes = [named] if isinstance(named, str) else list(named)
    if len(modes) != 1 or modes[0] not in POOLINGS or not pooling.get("include_prompt", True):
        prompted = "" if pooling.get("include_prompt", True) else " with include_prompt=false"
        raise InvalidInput(
            f"{folder}: pooling {'+'.join(map(str, modes))}{prompted} is not supported. "
            f"Supported, one at a time, prompt included: {', '.join(POOLINGS)}.",
            param="model",
        )
    return modes[0]


def _instruction_frame(config: dict[str, Any], prompts: dict[str, str]) -> tuple[str, str] | None:
    for prompt in prompts.values():
        if match := INSTRUCT.match(prompt):
            return "Instruct: ", match[1]
    own = embedding_of(config.get("model_type"))
    if own and own.instruction_frame:
        return own.instruction_frame
    return None if any(prompts.values()) else ("", "")


def _matryoshka(
    folder: Path, config: dict[str, Any], sentence: dict[str, Any]
) -> tuple[int | None, tuple[int, ...]]:
    """The smallest cut and, where the model lists them, the only cuts it was trained for."""
    for source in (config, sentence):
        if sizes := source.get("matryoshka_dimensions"):
            cuts = tuple(sorted(int(size) for size in sizes))
            return cuts[0], cuts
        if source.get("truncate_dim"):
            return int(source["truncate_dim"]), ()
        if source.get("is_matryoshka"):
            return 1, ()
    own = embedding_of(config.get("model_type"))
    if own is None or (config.get("model_type") == "qwen3" and not _is_qwen3_embedding(folder, sentence)):
        return None, ()
    return own.min_dimensions, ()


def _is_qwen3_embedding(folder: Path, sentence: dict[str, Any]) -> bool:
    """Other embedders are of the same type, and were not trained for cuts."""
    prompts = sentence.get("prompts") or {}
    return QWEN3_NAME in str(folder).lower() or prompts.get("query") == QWEN3_QUERY_PROMPT
