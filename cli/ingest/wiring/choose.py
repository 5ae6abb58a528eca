"""Which kinds of a collection are made, by which models."""

from collections.abc import Sequence

from cli.cannot_do import CannotDo
from jobs.models import ModelInfo, find_model

START = {
    "text": "mlxq up --model all-MiniLM-L6-v2",
    "visual": "mlxq up --model all-MiniLM-L6-v2 --model FOLDER_OF_A_COLQWEN2.5_MODEL",
}


def makes(info: ModelInfo) -> str | None:
    """The kind of collection that the model makes: visual, text or none."""
    if info.task != "embed":
        return None
    if "multi_vector" in info.abilities:
        return "visual" if "vision" in info.abilities else None
    return "text"


def choose_models(
    served: Sequence[ModelInfo], asked: Sequence[str], named: Sequence[str], used: dict[str, str]
) -> dict[str, ModelInfo]:
    """By kind. asked: kinds; empty: those of `used`, else all that the served models make. named: models to prefer.
    used: the digest of the model that the collection has for each of its kinds.

    Raises: CannotDo, which says what to start or to say.
    """
    able = dict[str, list[ModelInfo]]()
    for info in served:
        if (kind := makes(info)) is not None:
            able.setdefault(kind, []).append(info)
    wanted = list(asked) or list(used) or [kind for kind in ("visual", "text") if kind in able]
    if not wanted:
        raise CannotDo(
            f"No worker serves a model that embeds texts or pages. Start one: {START['text']} (or, for images of "
            f"pages, {START['visual']})."
        )
    preferred = [_named(name, served) for name in named]
    return {kind: _choose(kind, able.get(kind, []), preferred, used.get(kind, "")) for kind in wanted}


def _named(name: str, served: Sequence[ModelInfo]) -> ModelInfo:
    info = find_model(name, served, "embed")
    if info is None or makes(info) is None:
        ids = ", ".join(each.id for each in served if makes(each)) or "none"
        raise CannotDo(f"No worker serves a model {name!r} that embeds texts or pages. There is: {ids}.")
    return info


def _choose(kind: str, able: Sequence[ModelInfo], preferred: Sequence[ModelInfo], used: str) -> ModelInfo:
    if chosen := [info for info in able if info in preferred]:
        return chosen[0]
    if same := [info for info in able if used and used in (info.digest, info.id)]:
        return same[0]
    if len(able) > 1:
        names = " or ".join(info.id for info in able)
        raise CannotDo(f"Several models could make the {kind} part: say --model {names}.")
    if not able:
        what = "embeds pages as images (multi-vector)" if kind == "visual" else "embeds texts"
        raise CannotDo(f"No worker serves a model that {what}. Start one: {START[kind]}.")
    return able[0]
