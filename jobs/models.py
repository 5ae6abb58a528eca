"""The models that workers serve, and which of them a request's name means."""

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches

import msgspec

from jobs.catalogue.defaults import ModelDefaults
from jobs.catalogue.entry import is_same_name
from jobs.catalogue.names import with_tag, without_latest
from jobs.errors import InvalidInput, NoWorker, UnknownModel

MAX_SHOWN_CHARACTERS = 200
"""Messages quote so much of a name. A longer name is no misspelling of a model's."""

_ENDPOINTS = {"embed": "/v1/embeddings", "generate": "/v1/chat/completions", "rerank": "/v1/rerank"}
"""Where the API takes the work of each task, for messages."""


class ModelInfo(msgspec.Struct, frozen=True):
    """What a worker announces about a model it serves."""

    id: str
    task: str
    created: int
    dimensions: int
    """Size of its vectors. 0: it makes none."""
    max_tokens: int
    """Longest input, in tokens, special tokens included; for a generator, its context. 0: not known."""
    min_dimensions: int | None = None
    """Smallest Matryoshka cut. None: the model allows no cut."""
    prompts: tuple[str, ...] = ()
    """Names that `prompt_name` may take."""
    abilities: tuple[str, ...] = ()
    """Of a generator: vision, tools, reasoning, insert (it fills in the middle). Of an embedder: vision, multi_vector.
    Of a reranker: vision.
    """
    hub_name: str = ""
    """ORGANISATION/NAME on Hugging Face. Empty: not known."""
    digest: str = ""
    """Of what makes the model: config, tokenizer, tensors. Empty: not known."""

    family: str = ""
    """The model_type of its config.json. Empty: not known."""
    parameters: int = 0
    """How many numbers its weights are, before quantisation. 0: not known."""
    quantisation: str = ""
    """4bit, mxfp4, …, or the type of unquantised weights: BF16, F16, F32. Empty: not known."""
    size_bytes: int = 0
    """Of all its files. 0: not known."""

    image_pixels: int = 0
    """Of a multi-vector model with vision: most pixels that it reads of one image. 0: not known."""
    image_edge: int = 0
    """Most pixels of such an image's longer side. 0: any."""
    image_multiple: int = 1
    """Images whose sides are multiples of it, and within those limits, are read without scaling."""

    of: str = ""
    """Of an alias: the id of the model that it stands for."""
    defaults: ModelDefaults = ModelDefaults()

    @property
    def root(self) -> str:
        """The id of the model whose queues take its jobs."""
        return self.of or self.id

    @property
    def tasks(self) -> tuple[str, ...]:
        """Those of its queues. A multi-vector model also reranks: by its vectors' similarity (late interaction)."""
        return (self.task, "rerank") if "multi_vector" in self.abilities else (self.task,)

    @property
    def is_announced(self) -> bool:
        """Whether a worker has said this. Otherwise only the name and the task are known."""
        return self.max_tokens > 0


class LoadedModel(msgspec.Struct, frozen=True):
    """A model in a worker's memory."""

    id: str
    size_bytes: int
    expires_at: float | None
    """When it leaves if nobody uses it, in seconds since the epoch. None: never."""


class UnloadableModel(msgspec.Struct, frozen=True):
    """A model that a worker cannot load. Its jobs are left to others."""

    id: str
    reason: str
    until: float
    """When it is tried again, in seconds since the epoch."""


def declared_model(entry: str) -> ModelInfo:
    """A model that the settings name as TASK:NAME, and that no worker has served yet. Raises ValueError."""
    task, _, name = entry.partition(":")
    if task not in _ENDPOINTS or not name:
        tasks = ", ".join(_ENDPOINTS)
        raise ValueError(f"{entry!r} is not TASK:NAME, where TASK is one of {tasks}")
    return ModelInfo(id=name, task=task, created=0, dimensions=0, max_tokens=0)


def find_model(name: str, models: Sequence[ModelInfo], task: str | None = None) -> ModelInfo | None:
    """None where no model is meant. task: of two that are meant, the one that does it.

    Tried in turn: the id; the id but for capital letters; the Hugging Face name; that without its organisation, or the
    id of a model whose organisation is not known. Then all of that with the tag "latest" taken off, or put on where
    there is no tag. Raises InvalidInput where a name means several models.
    """
    for each in dict.fromkeys((name, without_latest(name), with_tag(name))):
        if each and (found := _find(each, models, task)):
            return found
    return None


def _find(name: str, models: Sequence[ModelInfo], task: str | None) -> ModelInfo | None:
    exact = [info for info in models if info.id == name]
    if exact:
        return next((info for info in exact if task in info.tasks), exact[0])
    wanted = name.casefold()
    for means in _WAYS:
        found = [info for info in models if means(info, wanted)]
        if len(found) > 1 and task:
            found = [info for info in found if task in info.tasks] or found
        if len({info.id for info in found}) > 1:
            ids = " or ".join(info.id for info in found)
            raise InvalidInput(
                f"The model {name[:MAX_SHOWN_CHARACTERS]!r} may be {ids}: name one of them.", param="model"
            )
        if found:
            return found[0]
    return None


def check_new_name(name: str, models: Sequence[ModelInfo]) -> None:
    """Raises InvalidInput where requests by this name mean a model already. Only an alias of the same name may be
    replaced.
    """
    try:
        found = find_model(name, models)
    except InvalidInput as error:
        raise InvalidInput(
            f"{name[:MAX_SHOWN_CHARACTERS]!r} may mean several models already: choose another name.",
            param="model",
        ) from error
    if found is None:
        return
    if not is_same_name(found.id, name):
        raise InvalidInput(
            f"{name[:MAX_SHOWN_CHARACTERS]!r} means {found.id} already: choose another name.", param="model"
        )
    if not found.of:
        raise InvalidInput(
            f"{found.id} is a model with files of its own: remove it first, or choose another name.",
            param="model",
        )


def model_to_remove(name: str, models: Sequence[ModelInfo]) -> ModelInfo:
    """The model of exactly this name; capital letters and ":latest" do not count.

    Raises NoWorker where there is no model, UnknownModel, and InvalidInput where the name means several.
    """
    if not models:
        raise NoWorker
    same = [info for info in models if is_same_name(info.id, name)]
    found = [info for info in same if info.id == name] or same
    if not found:
        raise not_found(name, models)
    if len({info.id for info in found}) > 1:
        ids = " or ".join(info.id for info in found)
        raise InvalidInput(
            f"The model {name[:MAX_SHOWN_CHARACTERS]!r} may be {ids}: name one of them.", param="model"
        )
    return found[0]


def model_for(name: str, models: Sequence[ModelInfo], task: str | None = None) -> ModelInfo:
    """The model that a name means (see find_model), which does the task where one is given.

    Raises NoWorker where there is no model, UnknownModel, and InvalidInput where the model does not do the task or the
    name means several models.
    """
    if not models:
        raise NoWorker
    info = find_model(name, models, task)
    if info is None:
        raise unknown_model(name, models)
    if task is not None and task not in info.tasks:
        raise wrong_task(name, info, task)
    return info


def wrong_task(name: str, info: ModelInfo, task: str) -> InvalidInput:
    """The error for a model that does another task. It names the endpoint of the model's own task."""
    return InvalidInput(
        f"The model {name[:MAX_SHOWN_CHARACTERS]!r} is not for this task ({task}) but for {info.task}: "
        f"send it to {_ENDPOINTS.get(info.task, 'another endpoint')}.",
        param="model",
    )


def unknown_model(name: str, models: Iterable[ModelInfo]) -> UnknownModel:
    """The error for a name that means none of the models, of which there is at least one."""
    ids = sorted({info.id for info in models})
    near = nearest(name, ids)
    meant = f" Did you mean {near!r}?" if near else ""
    return UnknownModel(
        f"No worker serves the model {name[:MAX_SHOWN_CHARACTERS]!r}.{meant} There is: {', '.join(ids)}.",
        param="model",
    )


def not_found(name: str, models: Iterable[ModelInfo]) -> UnknownModel:
    """The same in Ollama's words, for a name that is to be shown or changed: it need not be served."""
    near = nearest(without_latest(name), [each.id for each in models])
    meant = f", did you mean {near!r}?" if near else ""
    return UnknownModel(f"model {name[:MAX_SHOWN_CHARACTERS]!r} not found{meant}", param="model")


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant, if any is near. For a long name None: comparing it would take seconds."""
    if len(name) > MAX_SHOWN_CHARACTERS:
        return None
    names = list(names)
    spellings = {_last(each.casefold()): each for each in names} | {each.casefold(): each for each in names}
    wanted = name.casefold()
    found = get_close_matches(wanted, spellings, n=1) or get_close_matches(_last(wanted), spellings, n=1)
    return spellings[found[0]] if found else None


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _is_id(info: ModelInfo, wanted: str) -> bool:
    return info.id.casefold() == wanted


def _is_hub_name(info: ModelInfo, wanted: str) -> bool:
    return info.hub_name.casefold() == wanted


def _is_last_part(info: ModelInfo, wanted: str) -> bool:
    names = (info.id.casefold(), info.hub_name.casefold())
    if "/" not in wanted:
        return wanted in map(_last, names)
    return not any("/" in name for name in names) and names[0] == _last(wanted)


_WAYS: tuple[Callable[[ModelInfo, str], bool], ...] = (_is_id, _is_hub_name, _is_last_part)
