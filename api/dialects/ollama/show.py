"""One model as Ollama's clients see it: /api/show."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

import msgspec
from msgspec.structs import replace

from api.dialects.ollama.details import Capability, OllamaDetails, capabilities_of, details_of
from api.dialects.ollama.models import modified_at
from api.requests.parameters import NoEffect, Refused
from jobs.catalogue.defaults import ModelDefaults
from jobs.catalogue.details import ModelDetails, Value
from jobs.catalogue.entry import is_same_name
from jobs.catalogue.names import with_tag
from jobs.errors import InvalidInput, NoWorker
from jobs.machines.machines import MachineInfo
from jobs.models import ModelInfo, find_model, not_found

_ARCHITECTURE = "mlx"
"""Of a model whose family is not known."""


_AS_IT_IS = Refused("a model is shown as it is served. Leave it out.")


class ShowRequest(msgspec.Struct, frozen=True, kw_only=True):
    """name: what older clients call model."""

    model: str | None = None
    name: str | None = None
    system: Annotated[Any, _AS_IT_IS] = None
    template: Annotated[Any, _AS_IT_IS] = None
    options: Annotated[Any, _AS_IT_IS] = None
    verbose: Annotated[Any, NoEffect("the tokens of a model are not shown")] = None


class ShownMessage(msgspec.Struct, frozen=True):
    role: str
    content: str


class ShowReply(msgspec.Struct, frozen=True, kw_only=True):
    """template: the one that a Modelfile gave, or else the model's own, in Jinja, which is the one that is used.

    model_info: by GGUF's words. parameters: a line for each, as in a Modelfile. modelfile: what makes such a model.
    """

    license: str
    modelfile: str
    parameters: str
    template: str
    system: str
    messages: list[ShownMessage]
    details: OllamaDetails
    model_info: dict[str, Value]
    capabilities: list[Capability]
    modified_at: str


def model_named(model: str | None, name: str | None) -> str:
    """Of a body: older clients call it name. Raises InvalidInput where there is neither."""
    if not (model or name):
        raise InvalidInput("model is missing or null.", param="model")
    return model or name or ""


def model_to_show(name: str, models: Sequence[ModelInfo]) -> ModelInfo:
    """Raises UnknownModel, NoWorker where there is no model at all, InvalidInput where the name means several."""
    if not models:
        raise NoWorker
    info = find_model(name, models)
    if info is None:
        raise not_found(name, models)
    return info


def show_model(info: ModelInfo, told: ModelDetails) -> ShowReply:
    """told: what its files say, or its Modelfile."""
    return ShowReply(
        license=told.license,
        modelfile=_modelfile(info, told),
        parameters="\n".join(
            f"{word:<30} {json.dumps(value, ensure_ascii=False)}"
            for word, value in _parameters(info.defaults)
        ),
        template=told.template,
        system=info.defaults.system,
        messages=[ShownMessage(each.role, each.content) for each in info.defaults.messages],
        details=details_of(info),
        model_info=_model_info(info, told),
        capabilities=capabilities_of(info),
        modified_at=modified_at(info),
    )


def with_modelfile(told: ModelDetails, info: ModelInfo, machines: Iterable[MachineInfo]) -> ModelDetails:
    """With the template and the licence that a machine's catalogue has for the model, where it has some."""
    entries = [
        entry for machine in machines for entry in machine.entries if is_same_name(entry.name, info.id)
    ]
    if not entries:
        return told
    last = max(entries, key=lambda entry: entry.modified_at)
    return replace(told, template=last.template or told.template, license=last.license or told.license)


def _model_info(info: ModelInfo, told: ModelDetails) -> dict[str, Value]:
    """An embedder's embedding_length is its vectors'; its network may be wider."""
    family = info.family or _ARCHITECTURE
    known: dict[str, Value] = {"general.architecture": family, "general.basename": info.id}
    if info.parameters:
        known["general.parameter_count"] = info.parameters
    known |= {f"{family}.{word}": value for word, value in told.config.items()}
    if info.max_tokens:
        known[f"{family}.context_length"] = info.max_tokens
    if info.dimensions:
        known[f"{family}.embedding_length"] = info.dimensions
    return known


def _modelfile(info: ModelInfo, told: ModelDetails) -> str:
    """Texts that hold three quotes are left out: nothing stands for these in a Modelfile."""
    lines = [f"FROM {with_tag(info.root)}"]
    lines += [f"PARAMETER {word} {_quoted(value)}" for word, value in _parameters(info.defaults)]
    texts = (
        ("TEMPLATE", told.template),
        ("SYSTEM", info.defaults.system),
        *((f"MESSAGE {each.role}", each.content) for each in info.defaults.messages),
        ("LICENSE", told.license),
    )
    lines += [f'{word} """{text}"""' for word, text in texts if text and '"""' not in text]
    return "\n".join(['# Modelfile generated by "mlxq show"', *lines, ""])


def _parameters(defaults: ModelDefaults) -> Iterator[tuple[str, bool | int | float | str]]:
    """Of several texts each by itself."""
    for word, value in defaults.parameters.items():
        for each in value if isinstance(value, tuple) else (value,):
            yield word, each


def _quoted(value: bool | float | str) -> str:
    """As a Modelfile has it, which knows no escapes."""
    if not isinstance(value, str):
        return json.dumps(value)
    quotes = '"""' if '"' in value or "\n" in value else '"'
    return f"{quotes}{value}{quotes}"
