"""Every parameter of every dialect, and whether it works: `python -m tests.parameters` writes docs/parameters.md."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from api.app import create_app
from api.requests.parameters import NOTHING, NoEffect, Parameter, Refused, fields_inside, parameters_of
from api.route import DirectRoute
from jobs.settings import Settings
from tests.support.folders import ROOT
from tests.support.memory_queue import MemoryQueue

PAGE = ROOT / "docs" / "parameters.md"

DIALECTS = {
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "ollama": "Ollama",
    "cohere": "Cohere",
    "v1_models": "Anthropic and Cohere",
    "jina": "Jina",
    "voyage": "Voyage",
    "tei": "text-embeddings-inference",
    "vllm": "vLLM",
    "llamacpp": "llama.cpp",
    "infinity": "infinity",
}
"""Folders of api/dialects, and files beside them, in the order of the page. docs/api.md describes our own endpoints."""

HEADERS = ("betas", "user_profile_id", "workspace_id")
"""Parameters of clients that travel as headers."""


class Call(NamedTuple):
    """A call of a client. dialect, endpoint: as in a Body. names: its parameters, objects' fields with a point."""

    dialect: str
    endpoint: str
    names: frozenset[str]


def absent(call: Call) -> list[str]:
    """Parameters that the page does not name. Of an object in a body, only where the body has its fields."""
    [body] = [each for each in bodies() if each.dialect == call.dialect and call.endpoint in each.endpoints]
    known = {each.name.removesuffix("[]").partition("[")[0] for each in body.parameters}  # lists in a query
    inside = fields_inside(body.shape)
    found: list[str] = []
    for name in call.names - set(HEADERS):
        outer, _, inner = name.partition(".")
        if outer not in known or (inner and outer in inside and inner not in inside[outer]):
            found.append(name)
    return sorted(found)


_BEGINNING = f"""# Parameters

Which parameters of each endpoint work, and which do not; [HTTP API](api.md) says what they mean.
`python -m tests.parameters` makes this page from the types that bodies are read as. Tests compare it with the
parameters of the clients of OpenAI, Anthropic, Ollama and Cohere in Python and JavaScript, of Voyage AI and infinity,
and with what LiteLLM and the AI SDK's providers send, and send each of them.

- Works: it does what the dialect's own service does, within the limits that [HTTP API](api.md) names.
- Refused: a request that asks for something with it is answered 400, with this text. What asks for nothing is
  taken: null, usually false and what is empty, and the values in parentheses.
- No effect: it is taken, and no answer depends on it.

A field that is not here is ignored. Parameters of Anthropic's client that travel as headers are not read:
{", ".join(f"`{name}`" for name in HEADERS)}.
"""


class Body(NamedTuple):
    """What an endpoint reads: a body or a query."""

    dialect: str
    """A folder of api/dialects."""
    endpoints: tuple[str, ...]
    """Methods and paths, as "POST /v1/embeddings"."""
    shape: type[msgspec.Struct]

    @property
    def parameters(self) -> list[Parameter]:
        return parameters_of(self.shape)


def bodies() -> list[Body]:
    """Of all dialects but our own."""
    found: dict[type[msgspec.Struct], list[str]] = {}
    for endpoint, shape in shapes():
        found.setdefault(shape, []).append(endpoint)
    listed = [Body(_folder(shape), tuple(endpoints), shape) for shape, endpoints in found.items()]
    known = [body for body in listed if body.dialect != "mlxq"]
    return sorted(known, key=lambda body: list(DIALECTS).index(body.dialect))


def shapes() -> Iterator[tuple[str, type[msgspec.Struct]]]:
    """Each endpoint with what it reads: bodies and queries."""
    for route in create_app(MemoryQueue(), Settings()).routes:
        if isinstance(route, DirectRoute):
            read: tuple[Any, ...] = (*route.operation.body, route.operation.query)
            yield from ((f"{route.operation.method} {route.path}", each) for each in read if each is not None)


def _folder(shape: type[msgspec.Struct]) -> str:
    _, _, folder, *_ = shape.__module__.split(".")
    return folder


def page() -> str:
    return "\n".join([_BEGINNING, *(line for body in bodies() for line in _section(body))])


def _section(body: Body) -> Iterator[str]:
    yield f"## {DIALECTS[body.dialect]}: {', '.join(body.endpoints)}"
    yield ""
    yield "| parameter | | why |"
    yield "|---|---|---|"
    grouped: dict[tuple[str, str], list[str]] = {}
    for name, treatment in body.parameters:
        grouped.setdefault(_words(treatment), []).append(_shown(name, treatment))
    for (word, why), names in sorted(grouped.items(), key=lambda row: _ORDER.index(row[0][0])):
        yield f"| {', '.join(names)} | {word} | {why} |"
    yield ""


_ORDER = ("works", "refused", "no effect")


def _words(treatment: Refused | NoEffect | None) -> tuple[str, str]:
    if treatment is None:
        return "works", ""
    why = treatment.why.removesuffix(".")
    if why.split()[0].islower():  # else it begins with a name, as vLLM's
        why = why[0].upper() + why[1:]
    return ("refused" if isinstance(treatment, Refused) else "no effect"), why


def _shown(name: str, treatment: Refused | NoEffect | None) -> str:
    also = (
        [each for each in treatment.unless if each not in NOTHING] if isinstance(treatment, Refused) else []
    )
    return f"`{name}`" + (f" ({_values(also)})" if also else "")


def _values(values: Sequence[Any]) -> str:
    return ", ".join(f"`{msgspec.json.encode(each).decode()}`" for each in values)


if __name__ == "__main__":
    PAGE.write_text(page())
