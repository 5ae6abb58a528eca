"""What docs/parameters.md says works changes something: the job, or the reply."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.parameters import Body, bodies
from tests.support.memory_queue import MemoryQueue
from tests.support.vectors.memory_collections import MemoryCollections
from tests.unit.api.conftest import Connect
from tests.unit.api.openapi.documented_api import MODELS
from tests.unit.api.test_documented_parameters import PICTURES, TOOL, ask, fields_of, request_of

BODIES = [body for body in bodies() if body.endpoints[0].startswith("POST")]

VALUES: dict[str, dict[str, Any]] = {
    "temperature": {"temperature": 0.5},
    "top_p": {"top_p": 0.5},
    "repetition_penalty": {"repetition_penalty": 1.5},
    "structured_outputs": {"structured_outputs": {"regex": "a"}},
    "add_generation_prompt": {"add_generation_prompt": False},
    "add_special_tokens": {"add_special_tokens": False},
    "ChatRequest add_special_tokens": {"add_special_tokens": True},
    "skip_special_tokens": {"skip_special_tokens": False},
    "n": {"n": 2},
    "tool_choice": {"tool_choice": "none", "tools": [TOOL]},
    "parallel_tool_calls": {"parallel_tool_calls": False, "tools": [TOOL]},
    "strict_tools": {"strict_tools": True, "tools": [TOOL]},
    "thinking": {"thinking": {"type": "enabled"}},
    "CohereChatRequest tool_choice": {"tool_choice": "REQUIRED", "tools": [TOOL]},
    "MessagesRequest output_config": {"output_config": {"effort": "high"}},
    "JinaRequest return_documents": {"return_documents": False},
    "use_activation": {"use_activation": False},
    "activation": {"activation": False},
    "softmax": {"softmax": False},
    "VoyageRerankRequest truncation": {"truncation": False},
    "truncation_direction": {"truncation_direction": "Left", "truncate": True},
}
"""What is sent for a parameter, by its name or a body's, where the other tests send what is the default."""

UNSEEN: Mapping[str, str] = {
    "patch_grids": "images of pages alone have them",
    "store": "it is tested with stored chats",
    "metadata": "it is tested with stored chats",
    "best_of": "only n is taken",
    "filters": "no file here has attributes",
    "ranking_options": "no collection here is ranked twice",
    "citation_options": "only what asks for nothing is taken",
    "parameters": "its fields are tested in the reply of /similarity",
    "cache_control": "the prefix cache is in the worker",
    "CountRequest": "tokens are counted in a worker",
    "TokenizeRequest chat_template_kwargs": "a text has no template",
    "TokenizeRequest tools": "a text has no template",
    "TokenizeRequest add_generation_prompt": "a text has no template",
    "task": "one task is the model's own",
}
"""By the name of a parameter, of a body, or both: why its effect is not in the job."""

OTHERWISE = ("/api/show", "/api/copy", "/api/create", "/api/pull")
"""Endpoints that make no job."""

_OWN = re.compile(r'"(id|created|created_at|x-job-id)":\s*"?[^",}]*"?')
"""What differs from one reply to the next."""


@pytest.mark.parametrize("body", BODIES, ids=lambda body: f"{body.dialect} {body.endpoints[0]}")
async def test_what_works_has_an_effect(connect: Connect, body: Body):
    if any(path in body.endpoints[0] for path in OTHERWISE):
        return
    queue = MemoryQueue((*MODELS, PICTURES))
    client = connect(queue, collections=MemoryCollections())

    async def told(fields: Mapping[str, Any]) -> tuple[object, ...]:
        before = len(queue.submitted)
        reply = await ask(client, body, fields)
        return repr(queue.submitted[before:]), _OWN.sub("", reply.text), reply.headers.get("content-type")

    works = {name for name, treatment in body.parameters if treatment is None} - {*request_of(body).fields}
    shape = body.shape.__name__
    same: list[str] = []
    for name, _, usual in fields_of(body):
        if name not in works or UNSEEN.keys() & {name, shape, f"{shape} {name}"}:
            continue
        fields = VALUES.get(f"{shape} {name}", VALUES.get(name, usual))
        rest = {each: value for each, value in fields.items() if each != name}
        if await told(rest) == await told(fields):
            same.append(f"{name}: {fields}")
    assert same == []
