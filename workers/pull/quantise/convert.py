"""A quantised copy of a model's folder: new weights, all other files as they were."""

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

from jobs.catalogue.entry import Kind
from jobs.catalogue.pull_lock import held, lock_of
from jobs.errors import JobError
from workers.hub.problem import PullError, hub_error
from workers.hub.reporter import Reporter
from workers.hub.wanted import INDEX, MODULES, wanted_files
from workers.models.open import runs_on_mlx_vlm
from workers.models.resolve import LocalModel
from workers.pull.quantise.modes import mode_for
from workers.pull.quantise.staging import new_of, replace, sweep, tidy
from workers.runners.checkpoint.folder import read_json

log = logging.getLogger(__name__)

ORIGIN = "mlxq.json"
"""In the folder: what it was made of, how, and by what."""

CODE_FILE = "model_file"
"""The key of config.json that names a program which mlx-lm and mlx-vlm would run to open the model."""


class Source(NamedTuple):
    """The model that is quantised."""

    name: str
    commit: str
    folder: Path
    kind: Kind
    task: Literal["", "embed"]
    trusts_code: bool

    @property
    def model(self) -> LocalModel:
        return LocalModel(self.name, self.folder, task=self.task or None)


class Made(NamedTuple):
    """The quantised model."""

    folder: Path
    size_bytes: int


def quantise(source: Source, how: str, target: Path, progress: Reporter) -> Made:
    """Appears at `target` by a rename, once it was opened and, where it makes vectors or scores, compared.

    One that is there already, made of the same commit in the same way, is taken. Raises PullError.
    """
    _check(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target.parent)
    try:
        with held(lock_of(target), _waiting(progress)):
            tidy(target)
            origin = _origin(source, how)
            if not source.commit or read_json(target / ORIGIN).get("made_of") != origin["made_of"]:
                _make(source, how, target, origin, progress)
    except OSError as error:
        raise hub_error(error, source.name, None) from error
    return Made(target, sum(path.stat().st_size for path in target.rglob("*") if path.is_file()))


def _check(source: Source) -> None:
    config = read_json(source.folder / "config.json")
    text = config.get("text_config") or {}
    if any(each.get(key) for each in (config, text) for key in ("quantization", "quantization_config")):
        raise PullError(
            "quantised_already",
            f"{source.name} is quantised already.",
            "Pull it without --quantize, or quantise the model that it was made of.",
        )
    if config.get(CODE_FILE) and not source.trusts_code:
        raise PullError(
            "needs_code",
            f"{source.name} brings a program of its own ({config[CODE_FILE]}), which mlxq does not run.",
            "Where you trust its authors, name it in MLXQ_TRUST_REMOTE_CODE.",
        )


def _make(source: Source, how: str, target: Path, origin: dict[str, Any], progress: Reporter) -> None:
    staging = new_of(target)
    staging.mkdir()
    try:
        _fill(source, how, staging, progress)
        (staging / ORIGIN).write_text(json.dumps(origin, indent=2))
        replace(target)
    finally:
        tidy(target)


def _fill(source: Source, how: str, staging: Path, progress: Reporter) -> None:
    copy_other_files(source.folder, staging, programs=source.trusts_code)
    progress.check()
    progress.say(f"quantising to {_in_words(how)}")
    with _library_errors(source, "quantised"):
        quantisation = _write_weights(source, how, staging)
    config = read_json(source.folder / "config.json")
    config |= {"quantization": quantisation, "quantization_config": quantisation}
    (staging / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False))
    if not _has_quantised(staging):
        raise PullError(
            "cannot_quantise",
            f"No layer of {source.name} can be quantised to {_in_words(how)}: none is a multiple of "
            f"{quantisation['group_size']} wide.",
            "Pull it without --quantize.",
        )
    progress.check()
    with _library_errors(source, "opened once quantised"):
        _compare(source, staging, progress)


def _compare(source: Source, staging: Path, progress: Reporter) -> None:
    from workers.pull.quantise.agreement import compare, measure, open_only

    task = source.task or None
    if source.kind in ("llm", "vlm") and task is None:
        open_only(staging)
        return
    progress.say("comparing with the full model")
    agreement = compare(measure(source.folder, task), measure(staging, task))
    progress.say(agreement.sentence(), figures=agreement.figures())


def _write_weights(source: Source, how: str, staging: Path) -> dict[str, Any]:
    """Returns what config.json says of them."""
    from workers.pull.quantise import weights

    config = read_json(source.folder / "config.json")
    mode = mode_for(how, config)
    if source.kind in ("embedding", "reranker"):
        return weights.quantise_files(source.folder, staging, mode)
    if runs_on_mlx_vlm(source.model, str(config.get("model_type", ""))):
        return weights.quantise_vision_generator(source.folder, staging, mode)
    return weights.quantise_text_generator(source.folder, staging, mode, trusts_code=source.trusts_code)


def copy_other_files(source: Path, target: Path, *, programs: bool) -> None:
    """All that makes the model but its weights and its config.json: modules, pooling, processor, templates, texts."""
    paths = [path.relative_to(source).as_posix() for path in sorted(source.rglob("*")) if path.is_file()]
    modules = [str(each.get("path", "")) for each in json.loads(_text(source / MODULES) or "[]")]
    for path in wanted_files(paths, None, modules, programs=programs):
        is_weights = "/" not in path and path.endswith(".safetensors")
        if not is_weights and path not in ("config.json", INDEX, ORIGIN):
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / path, target / path)  # of a link what it points to


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _has_quantised(folder: Path) -> bool:
    from safetensors import safe_open

    for file in folder.glob("*.safetensors"):
        with safe_open(str(file), framework="numpy") as opened:
            if any(name.endswith(".scales") for name in opened.keys()):  # noqa: SIM118 - it is no dictionary
                return True
    return False


def _origin(source: Source, how: str) -> dict[str, Any]:
    return {
        "made_of": {"source": source.name, "commit": source.commit, "task": source.task, "quantised": how},
        "made_with": {name: version(name) for name in ("mlxq", "mlx", "mlx-lm", "mlx-vlm")},
        "made_at": int(time.time()),
    }


def _in_words(how: str) -> str:
    return f"{how} bits" if how.isdigit() else how


def _waiting(progress: Reporter) -> Callable[[float], None]:
    progress_said: list[str] = []

    def wait(seconds: float) -> None:
        if not progress_said:
            progress_said.append("waiting for another process that quantises the same model")
            progress.say(progress_said[0])
        progress.pause(seconds)

    return wait


@contextmanager
def _library_errors(source: Source, what: str) -> Iterator[None]:
    """Whatever a library raises says that this model, in this way, cannot be had."""
    try:
        yield
    except (PullError, OSError):
        raise
    except JobError as error:
        raise _cannot(source, what, error.message) from error
    except Exception as error:
        log.debug("a model cannot be quantised", exc_info=True, extra={"model": source.name})
        raise _cannot(
            source, what, f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
        ) from error


def _cannot(source: Source, what: str, why: str) -> PullError:
    return PullError(
        "cannot_quantise",
        f"{source.name} cannot be {what}: {why.rstrip('.')}.",
        "Pull it without --quantize, or with another of 4, 6, 8, mxfp4 and nvfp4.",
    )
