"""The OpenAPI document is valid and whole."""

import json
import re
from importlib.metadata import version

import httpx
import openapi_spec_validator
import pytest
from starlette.routing import Route

from api.app import create_app
from api.route import DirectRoute
from jobs import errors
from jobs.settings import Settings
from tests.support.documented import Endpoint
from tests.support.memory_queue import MemoryQueue
from tests.unit.api.openapi.documented_api import (
    DOCUMENT,
    DOCUMENTED,
    WORK,
    name_of,
)


def test_the_document_is_valid():
    openapi_spec_validator.validate(DOCUMENT)
    assert DOCUMENT["openapi"].startswith("3.1")


def test_every_route_is_in_the_document():
    app = create_app(MemoryQueue(), Settings())
    routes = [each for each in app.routes if isinstance(each, Route)]
    served = {
        (method, re.sub(r":\w+", "", each.path))
        for each in routes
        if isinstance(each, DirectRoute)
        for method in (each.methods or set()) - {"HEAD"}
    }
    assert served == {(each.method, each.path) for each in DOCUMENTED.endpoints}
    # Whatever else answers is about the document itself.
    assert {each.path for each in routes if not isinstance(each, DirectRoute)} == {
        "/openapi.json",
        "/docs",
        "/docs/oauth2-redirect",
        "/redoc",
    }


def test_every_operation_has_a_name_of_its_own_a_tag_and_a_summary():
    names = [name_of(each) for each in DOCUMENTED.endpoints]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]+", name) for name in names)
    tags = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}
    assert {tag for each in DOCUMENTED.endpoints for tag in each.said["tags"]} == tags
    assert all(each.said["summary"].endswith(".") for each in DOCUMENTED.endpoints)


def test_components_have_the_names_of_classes():
    """Two classes of one name would appear with their modules' names."""
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9]+", name) for name in DOCUMENT["components"]["schemas"])


def test_parameters_of_paths_are_declared():
    for endpoint in DOCUMENTED.endpoints:
        declared = {each["name"] for each in endpoint.said["parameters"] if each["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", endpoint.path)), endpoint.path


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/v1/jobs", {"status", "model", "lane", "limit", "offset", "after"}),
        ("/v1/jobs/{job_id}", {"job_id", "wait", "encoding_format"}),
        ("/v1/jobs/{job_id}/events", {"job_id", "after", "include_usage", "Last-Event-ID"}),
    ],
)
def test_queries_and_headers_are_declared(path: str, names: set[str]):
    said = DOCUMENT["paths"][path]["get"]["parameters"]
    assert {each["name"] for each in said} == names
    assert all("$ref" not in json.dumps(each["schema"]) for each in said)


@pytest.mark.parametrize("endpoint", WORK, ids=name_of)
def test_work_takes_an_idempotency_key_and_unless_it_is_a_job_the_other_terms(endpoint: Endpoint):
    names = {each["name"] for each in endpoint.said["parameters"]}
    assert names == {"Idempotency-Key"} | (set() if endpoint.path == "/v1/jobs" else {"Prefer", "Result-TTL"})


def test_work_may_end_with_every_status_of_the_table_of_errors():
    statuses = {"400", "404", "409", "413", "429", "500", "503", "504"}
    for endpoint in WORK:
        left_out = {"504"} if endpoint.path == "/v1/jobs" else set[str]()  # nobody waits
        assert statuses - left_out <= set(endpoint.said["responses"])
        assert {"Retry-After"} <= set(endpoint.said["responses"]["429"]["headers"])
        assert {"Retry-After"} <= set(endpoint.said["responses"]["503"]["headers"])


def test_every_error_of_the_table_is_explained():
    said = DOCUMENT["paths"]["/v1/embeddings"]["post"]["responses"].values()
    lines = {line for each in said for line in each["description"].splitlines()}
    assert {f"- `{cls.code}`: {cls.__doc__}" for cls in errors.ALL} <= lines


async def test_the_document_is_made_when_it_is_first_asked_for_and_kept():
    app = create_app(MemoryQueue(), Settings())
    assert app.openapi_schema is None
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mlxq") as client:
        assert (await client.get("/openapi.json")).json() == DOCUMENT
        assert app.openapi() is app.openapi()
        assert "/openapi.json" in (await client.get("/docs")).text


def test_the_version_is_the_packages():
    assert DOCUMENT["info"]["version"] == version("mlxq")
